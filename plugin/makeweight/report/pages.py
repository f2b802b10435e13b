"""Pages of HTML from templates: every text escaped, what belongs on one line kept there, nothing missing unnoticed."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from makeweight.report.text import html_prose, plain, unbroken

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def template(name: str, *packages: str) -> Template:
    """A template of one of the packages, the first that has it; compiled once, which takes longer than a page.

    Its filters: `prose`, a sentence with names in backticks; `drawn`, a chart that escapes every text it holds.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else unbroken(plain(value)),
    )
    environment.filters["prose"] = lambda text: Markup(unbroken(html_prose(text)))  # noqa: S704 - it escapes
    environment.filters["drawn"] = Markup
    return environment.get_template(name)
