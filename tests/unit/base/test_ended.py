"""How a process ended, in words."""

import pytest

from makeweight_base.ended import ended


@pytest.mark.parametrize(
    ("code", "said"),
    [(3, "exit code 3"), (-9, "signal SIGKILL"), (-35, "signal 35")],
    ids=["code", "named", "unnamed"],
)
def test_a_return_code_in_words(code: int, said: str) -> None:
    assert ended(code) == said
