"""How many channels go when multiples must remain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight.compress.rounding import removed


@pytest.mark.parametrize(
    ("wanted", "channels", "multiple", "gone"),
    [
        (32, 64, 16, 32),
        (3, 32, 16, 0),  # a tenth of 32 is nearer to nothing than to a half
        (9, 32, 16, 16),
        (24, 48, 16, 32),  # 24 remain: 16 and 32 are equally near
        (60, 64, 16, 48),  # one multiple always remains
        (5, 10, 16, 0),  # too narrow for a single one
        (12, 24, 16, 8),
        (7, 30, 1, 7),
    ],
)
def test_the_nearest_multiple_remains(wanted: int, channels: int, multiple: int, gone: int) -> None:
    assert removed(wanted, channels, multiple) == gone


@given(channels=st.integers(1, 2048), multiple=st.integers(1, 64), share=st.floats(0, 1))
def test_what_remains_is_a_multiple_within_half_of_one(channels: int, multiple: int, share: float) -> None:
    wanted = int(share * channels)
    left = channels - removed(wanted, channels, multiple)
    assert 1 <= left <= channels
    if left != channels:
        assert left % multiple == 0
        assert left == multiple or abs(left - (channels - wanted)) <= multiple / 2
