"""docs/advice.md shows the rules as they are."""

from page import PAGE, page


def test_the_page_has_the_rules_as_they_are() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(written), "run `python benchmarks/advice/page.py`"
