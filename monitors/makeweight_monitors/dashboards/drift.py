"""One model without labels, and by part: confidence, predicted classes, inputs; each slice and each class."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from makeweight_monitors.dashboards import failing, firing, parts
from makeweight_monitors.dashboards.board import Section
from makeweight_monitors.dashboards.look import CANARY, FLOOR, GOOD, REFERENCE, STABLE, WARN
from makeweight_monitors.dashboards.panel import HALF, Column, Steps, abreast, bars, lines, rows, value
from makeweight_monitors.dashboards.parts import MANY_CLASSES
from makeweight_monitors.dashboards.project import of_project
from makeweight_monitors.dashboards.query import Query, both, now_of_both, of_canary, of_model, of_revision, of_stable
from makeweight_monitors.dashboards.rollback import worst
from makeweight_monitors.rules import names
from makeweight_monitors.rules.names import Distribution
from makeweight_monitors.rules.terms import Terms

CONFIDENCE = "Confidence, canary against stable"
TEST_SPLIT = "Confidence, production against the test split"
ESTIMATE = "Accuracy estimated from confidence"
PREDICTED = "Predicted classes, canary against stable"
INPUTS = "Inputs, the last hour against the day before"
_CHANCE = "The grey line is what chance alone reaches once in a thousand, which for few requests is a lot."


def build(terms: Terms) -> Dashboard:
    sections = [Section("", (*abreast(_state(terms)), firing.alerts(terms.runbooks)))]
    if terms.slices:
        sections.append(Section("By slice", tuple(parts.slices())))
    if terms.classification:
        sections.append(Section("By class", tuple(parts.classes(terms))))
        if terms.examples:
            sections.append(Section("Confidence", tuple(_confidence())))
        sections.append(Section("Predicted classes", tuple(_predicted(terms))))
    elif terms.judged:
        sections.append(Section("Size of the errors", tuple(_errors())))
    sections.append(Section("Inputs", tuple(_inputs())))
    question = f"What {terms.model} shows without labels, and each part of it with labels: evidence to be weighed."
    return of_project(terms, "drift", "drift", question, sections, span="24h")


def _state(terms: Terms) -> Iterator[Panel]:
    def over(title: str, of_what: str, shares: str, nothing: str = "too little seen yet") -> Panel:
        return value(
            title,
            f"The stability index ({of_what}) as a multiple of what chance alone reaches once in a thousand: above 1 "
            "something differs; whether it matters is another question.",
            "none",
            f"max({shares})",
            steps=Steps(GOOD, ((1.0, WARN),)),
            decimals=2,
            nothing=nothing,
        )

    def arms(title: str, of: Distribution) -> Panel:
        return over(title, "canary against stable", f"{of_revision(of.psi)} / {of_revision(of.floor)}")

    yield firing.state()
    yield failing.state()
    if terms.classification and terms.examples:
        yield arms("Confidence", names.SCORES)
        each = (f"max({of(names.REFERENCE_PSI)} / {of(names.REFERENCE_PSI_FLOOR)})" for of in (of_canary, of_stable))
        yield over("Against the test split", "the confidence of the worse arm", " or ".join(each))
    if terms.classification:
        yield arms("Predicted classes", names.PREDICTED)
    elif terms.judged:
        yield arms("Size of the errors", names.ERRORS)
    yield over(
        "Inputs",
        "the feature that moved most, the last hour against the day before",
        f"{of_model(names.FEATURE_PSI)} / {of_model(names.FEATURE_PSI_FLOOR)}",
        "no feature is watched",
    )
    for test in (test for test in terms.families() if test in names.BY_PART):
        yield worst(
            f"Worst {test}",
            f"How near to a rollback the {test} is that speaks most against the canary; at 100 % it is asked for.",
            names.BY_PART[test].evalue,
            test,
        )


def _index(title: str, of_what: str, *queries: Query) -> Panel:
    return lines(title, f"Population stability index of {of_what}. {_CHANCE}", "none", *queries)


def _against_stable(title: str, of_what: str, of: Distribution) -> Panel:
    canary, chance = of_revision(of.psi), of_revision(of.floor)
    return _index(
        title, of_what, Query(canary, "canary {{revision}}", CANARY), Query(chance, "chance {{revision}}", FLOOR)
    )


def _confidence() -> Iterator[Panel]:
    yield _against_stable(CONFIDENCE, "the confidence in the answers", names.SCORES)
    yield bars(
        "Confidence now",
        "Shares of the answers of half an hour by bin of the top class's confidence, from the lowest; and of the test "
        "split.",
        "bin",
        *now_of_both(names.SCORES.share, "bin"),
        Query(f"max by (bin) ({of_canary(names.SCORE_REFERENCE)})", "canary on the test split", REFERENCE),
    )
    yield _index(
        TEST_SPLIT,
        "each arm against its own answers on the test split",
        *both(names.REFERENCE_PSI),
        Query(of_stable(names.REFERENCE_PSI_FLOOR), "chance, stable", FLOOR),
        Query(of_canary(names.REFERENCE_PSI_FLOOR), "chance, canary {{revision}}", FLOOR.dashed()),
    )
    yield lines(
        ESTIMATE,
        "Without labels: each bin of confidence counts with the accuracy that it had on the test split (CBPE), and the "
        "accuracy on the whole of that. It sees inputs that are harder; it is blind to answers that became wrong "
        "without the model noticing.",
        "percentunit",
        *both(names.CBPE),
        Query(of_stable(names.REFERENCE_ACCURACY), "stable, test split", STABLE.dotted()),
        Query(of_canary(names.REFERENCE_ACCURACY), "canary, test split", CANARY.dotted()),
        least=None,
    )


def _predicted(terms: Terms) -> Iterator[Panel]:
    yield _against_stable(PREDICTED, "the predicted classes", names.PREDICTED)
    if terms.classes <= MANY_CLASSES:
        yield bars(
            "Predicted classes now",
            "Shares of the answers of half an hour by class. `other` are classes beyond those that are told apart.",
            "class",
            *now_of_both(names.PREDICTED.share, "class"),
        )


def _errors() -> Iterator[Panel]:
    what = "the absolute error of labelled predictions, over six hours"
    yield _against_stable("Errors, canary against stable", what, names.ERRORS)
    yield bars(
        "Errors now",
        "Shares of the labelled predictions of six hours by bin of the absolute error, from the smallest. The edges of "
        "the bins are in reference.json.",
        "bin",
        *now_of_both(names.ERRORS.share, "bin"),
    )


def _inputs() -> Iterator[Panel]:
    yield _index(
        INPUTS,
        "each watched feature; both arms see the same inputs, so they are pooled",
        Query(of_model(names.FEATURE_PSI), "{{feature}}"),
        Query(of_model(names.FEATURE_PSI_FLOOR), "chance, {{feature}}", FLOOR),
    )
    last, before = (f"max by (feature, bin) ({of_model(x)})" for x in (names.FEATURE_SHARE_1H, names.FEATURE_SHARE_1D))
    yield rows(
        "Inputs now",
        "Share of each bin of each watched feature, from the lowest bin, in the last hour and in the day before it.",
        Column("feature"),
        Column("bin"),
        Column("last hour", last, "percentunit"),
        Column("day before", before, "percentunit"),
        size=HALF,
        nothing="no feature is watched",
    )
