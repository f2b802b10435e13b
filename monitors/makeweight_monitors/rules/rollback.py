"""The sequential tests: the only rules that may ask for a rollback, and the lines they compare with."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from makeweight_monitors import eprocess
from makeweight_monitors.metrics import PAIRED, PAIRED_CLASS, PAIRED_SLICE, SPLIT, Metric
from makeweight_monitors.rules import names
from makeweight_monitors.rules.promql import block, equals, evalue, exact, number, selector
from makeweight_monitors.rules.rule import Alert, Comparison, Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms, Test
from makeweight_monitors.rules.windows import PROMISE_DAYS, RECENT

SERIES_A_LOOK = 20
"""Slices and classes that may be read each minute."""
_LONGEST = 240
"""Below the five minutes after which Prometheus holds a recorded value for gone."""
_HARM = ('stable="right"', 'canary="wrong"')
_HELP = ('stable="wrong"', 'canary="right"')


_APART = {
    "slice": (
        names.SLICE_PAIRS,
        names.SLICE_PAIRS_HARM,
        names.SLICE_PAIRS_HELP,
        names.SLICE_PAIRS_TIE,
        names.SLICE_EVALUE,
        names.ACCURACY_DROP_SLICE,
    ),
    "class": (
        names.CLASS_PAIRS,
        names.CLASS_PAIRS_HARM,
        names.CLASS_PAIRS_HELP,
        names.CLASS_PAIRS_TIE,
        names.CLASS_EVALUE,
        names.ACCURACY_DROP_CLASS,
    ),
}


def groups(terms: Terms) -> Iterator[Group]:
    whole: list[Rule] = [*_lines(terms)]
    if terms.drop is not None:
        whole += [*_paired(terms, terms.drop), *_recent(terms, terms.drop), *_split(terms, terms.drop)]
    if whole:
        yield Group("makeweight-rollback", tuple(whole), f"{terms.interval}s")
    parts: list[Rule] = []
    for name, drop in terms.slices.items():
        parts += _apart(terms, "slice", PAIRED_SLICE, drop, name)
    if terms.slices:
        parts.append(_apart_alert(terms, "slice", ", ".join(f"{drop:.2%}" for drop in terms.slices.values())))
    if terms.class_drop is not None and terms.classes:
        parts += _apart(terms, "class", PAIRED_CLASS, terms.class_drop, None)
        parts.append(_apart_alert(terms, "class", f"{terms.class_drop:.2%}"))
    if parts:
        yield Group("makeweight-rollback-parts", tuple(parts), f"{_parts_interval(terms)}s")


def _parts_interval(terms: Terms) -> int:
    """Seconds between two looks at slices and classes: each reads as many series again as there are of them.

    How often a sequential test is looked at makes no difference to what it promises.
    """
    many = math.ceil((len(terms.slices) + terms.classes) / SERIES_A_LOOK)
    return max(terms.interval, min(_LONGEST, 60 * many))


def weight_label(weight: float) -> str:
    """How a share of traffic is written as a label."""
    return f"{weight:g}"


def weights_pattern(terms: Terms) -> str:
    """A regular expression, escaped for a string of PromQL, of all weights that are known."""
    return "|".join(re.escape(weight_label(weight)) for weight in terms.weights).replace("\\", "\\\\")


def _lines(terms: Terms) -> Iterator[Recording]:
    labels = {"model": terms.model}
    for test in terms.families():
        yield Recording(names.ROLLBACK_LINE, f"vector({number(terms.line(test))})", labels | {"test": test})
    for test in ("paired", "split"):
        if terms.drop is not None:
            yield Recording(names.TOLERATED_DROP, f"vector({number(terms.drop)})", labels | {"test": test})
    for name, drop in terms.slices.items():
        yield Recording(names.TOLERATED_DROP, f"vector({number(drop)})", labels | {"test": "slice", "slice": name})
    if terms.class_drop is not None and terms.classes:
        yield Recording(names.TOLERATED_DROP, f"vector({number(terms.class_drop)})", labels | {"test": "class"})


def _ask(name: str, test: Test, terms: Terms, evalue_series: str, what: str, drops: str) -> Alert:
    over = Comparison(evalue_series, ">", terms.line(test))
    return Alert(
        name,
        over,
        "rollback",
        "page",
        summary=f"{what} is less accurate than stable: roll it back",
        description=f"The e-value against a drop of at most {drops} is {{{{ $value | humanize }}}}, over "
        f"{number(over.line)}. A canary within all tolerated drops ever gets here with probability at most "
        f"{terms.alpha:g}, however often this is looked at.",
        labels={"test": test},
    )


def _paired(terms: Terms, drop: float) -> Iterator[Rule]:
    of = equals("model", terms.model)
    cells = (names.PAIRS_HARM, names.PAIRS_HELP, names.PAIRS_TIE)
    harm, help_, tie = (selector(name, of) for name in cells)
    count = selector(names.PAIRS, of)
    yield Recording(names.PAIRS, exact(PAIRED, terms.model, terms.history, ()))
    yield Recording(names.PAIRS_HARM, exact(PAIRED, terms.model, terms.history, (), *_HARM))
    yield Recording(names.PAIRS_HELP, exact(PAIRED, terms.model, terms.history, (), *_HELP))
    yield Recording(names.PAIRS_TIE, f"{count} - {harm} - {help_}")
    yield Recording(names.PAIRED_DROP, f"({harm} - {help_}) / ({count} > 0)")
    yield Recording(names.EVALUE, evalue(eprocess.paired(drop), harm, help_, tie))
    yield _ask(
        names.ACCURACY_DROP_PAIRED,
        "paired",
        terms,
        selector(names.EVALUE, of),
        "{{ $labels.model }} {{ $labels.revision }}",
        f"{drop:.2%}",
    )


def _recent(terms: Terms, drop: float) -> Iterator[Rule]:
    """The same test on the last hour alone. It starts anew at every look, so it promises a rate and not a lifetime."""
    of = equals("model", terms.model)
    for name, recent in (
        (names.PAIRS_HARM, names.PAIRS_HARM_1H),
        (names.PAIRS_HELP, names.PAIRS_HELP_1H),
        (names.PAIRS_TIE, names.PAIRS_TIE_1H),
    ):
        now = selector(name, of)
        # never below zero: a process that ended longer ago than `history` takes its counts with it
        yield Recording(recent, f"clamp_min(\n  {now}\n  - ({now} offset {RECENT} or {now} * 0),\n  0\n)")
    cells = (names.PAIRS_HARM_1H, names.PAIRS_HELP_1H, names.PAIRS_TIE_1H)
    harm, help_, tie = (selector(name, of) for name in cells)
    yield Recording(names.EVALUE_1H, evalue(eprocess.paired(drop), harm, help_, tie))
    looks = PROMISE_DAYS * 86_400 / terms.interval
    line = terms.models * eprocess.sliding_threshold(terms.alpha, looks)
    yield Recording(names.SLIDING_LINE, f"vector({number(line)})", {"model": terms.model})
    yield Alert(
        names.ACCURACY_DROP_RECENT,
        Comparison(selector(names.EVALUE_1H, of), ">", line),
        "alarm",
        "page",
        summary="{{ $labels.model }} {{ $labels.revision }} became less accurate than stable within the hour",
        description=f"The last hour's e-value against a drop of at most {drop:.2%} is {{{{ $value | humanize }}}}, "
        f"over {number(line)}. By chance this comes in {PROMISE_DAYS} days with probability at most {terms.alpha:g}.",
    )


def _apart(terms: Terms, test: Test, metric: Metric, drop: float, only: str | None) -> Iterator[Rule]:
    """The paired test for one slice, or for every class."""
    count_name, harm_name, help_name, tie_name, evalue_name, _ = _APART[test]
    # rules of one name must differ in what they record
    labels: dict[str, str] = {} if only is None else {test: only}
    narrowed = tuple(equals(*label) for label in labels.items())
    chosen = (equals("model", terms.model), *narrowed)
    cells = (count_name, harm_name, help_name, tie_name)
    count, harm, help_, tie = (selector(name, *chosen) for name in cells)
    for name, matchers in ((count_name, ()), (harm_name, _HARM), (help_name, _HELP)):
        yield Recording(name, exact(metric, terms.model, terms.history, (test,), *narrowed, *matchers), labels)
    yield Recording(tie_name, f"{count} - {harm} - {help_}", labels)
    yield Recording(evalue_name, evalue(eprocess.paired(drop), harm, help_, tie), labels)


def _apart_alert(terms: Terms, test: Test, drops: str) -> Alert:
    *_, evalue_name, alert = _APART[test]
    what = f"{{{{ $labels.model }}}} {{{{ $labels.revision }}}} on the {test} `{{{{ $labels.{test} }}}}`"
    return _ask(alert, test, terms, selector(evalue_name, equals("model", terms.model)), what, drops)


def _split(terms: Terms, drop: float) -> Iterator[Rule]:
    """Labelled requests under random split. Here `revision` names the release on trial, on both sides."""
    of = equals("model", terms.model)
    wrong = 'outcome="wrong"'
    for name, matchers in (
        (names.SPLIT_LABELLED, ()),
        (names.SPLIT_CANARY_WRONG, ('variant="canary"', wrong)),
        (names.SPLIT_STABLE_WRONG, ('variant="stable"', wrong)),
    ):
        yield Recording(name, exact(SPLIT, terms.model, terms.history, ("weight",), *matchers))
    right, worse, better = (
        selector(name, of) for name in (names.SPLIT_RIGHT, names.SPLIT_CANARY_WRONG, names.SPLIT_STABLE_WRONG)
    )
    yield Recording(names.SPLIT_RIGHT, f"{selector(names.SPLIT_LABELLED, of)} - {worse} - {better}")
    for weight in terms.weights:
        at = {"weight": weight_label(weight)}
        cells = (names.SPLIT_CANARY_WRONG, names.SPLIT_STABLE_WRONG, names.SPLIT_RIGHT)
        worse, better, right = (selector(name, of, equals("weight", at["weight"])) for name in cells)
        yield Recording(names.SPLIT_EVALUE_AT_WEIGHT, evalue(eprocess.split(drop, weight), worse, better, right), at)
    # the product: what was seen at one weight and what was seen at another are different requests
    each = selector(names.SPLIT_EVALUE_AT_WEIGHT, of)
    yield Recording(
        names.SPLIT_EVALUE,
        block(f"clamp_max(exp(sum by (model, revision) (ln({each}))), {eprocess.CEILING:g})"),
    )
    yield _ask(
        names.ACCURACY_DROP_SPLIT,
        "split",
        terms,
        selector(names.SPLIT_EVALUE, of),
        "{{ $labels.model }} {{ $labels.revision }} (split traffic)",
        f"{drop:.2%}",
    )
