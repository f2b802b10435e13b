from __future__ import annotations

import pytest

from makeweight_base import retry_after

NOW = "Wed, 21 Oct 2015 07:27:30 GMT"


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 30),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", 30),  # RFC 850, which recipients must accept
        ("Wed Oct 21 07:28:00 2015", 30),  # and that of asctime
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0),
        ("-5", None),
        ("\u0663", None),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", None),
        ("Wed, 99 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_seconds_that_are_asked_for(asked: str, wanted: float | None) -> None:
    assert retry_after.seconds({"Retry-After": asked, "Date": NOW}) == wanted


@pytest.mark.parametrize("clock", [{}, {"Date": "now"}])
def test_a_date_says_nothing_without_the_servers_clock(clock: dict[str, str]) -> None:
    assert retry_after.seconds({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT", **clock}) is None
    assert retry_after.seconds({"Retry-After": "3", **clock}) == 3
