"""Regression: how large the errors of labelled predictions are, canary against stable."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.metrics import ERROR_BIN
from makeweight_monitors.rules import names
from makeweight_monitors.rules.distances import two_arms
from makeweight_monitors.rules.promql import by_arm
from makeweight_monitors.rules.rule import Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.windows import BY_GROUP


def groups(terms: Terms) -> Iterator[Group]:
    if not terms.classification:
        yield Group("makeweight-errors", tuple(_errors(terms)))


def _errors(terms: Terms) -> Iterator[Rule]:
    yield Recording(names.ERROR_BIN, by_arm(ERROR_BIN.series, terms.model, BY_GROUP, ("bin",)))
    yield from two_arms(terms, "bin", *names.ERRORS_APART)
