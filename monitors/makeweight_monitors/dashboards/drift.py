"""One model without labels, and by part: confidence, predicted classes, inputs; each slice and each class."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from makeweight_monitors.dashboards import firing, parts
from makeweight_monitors.dashboards.board import Section, assembled, uid
from makeweight_monitors.dashboards.look import CANARY, FLOOR, GOOD, REFERENCE, STABLE, WARN
from makeweight_monitors.dashboards.marks import marks
from makeweight_monitors.dashboards.panel import HALF, STAT, Column, Size, Steps, abreast, bars, lines, rows, value
from makeweight_monitors.dashboards.parts import MANY_CLASSES
from makeweight_monitors.dashboards.query import Query, both, of_canary, of_model, of_revision, of_stable
from makeweight_monitors.dashboards.rollback import WAY, line, way_to_rollback
from makeweight_monitors.dashboards.variables import of_project
from makeweight_monitors.rules import names
from makeweight_monitors.rules.terms import Terms

KIND = "drift"
CONFIDENCE = "Confidence, canary against stable"
TEST_SPLIT = "Confidence, production against the test split"
ESTIMATE = "Accuracy estimated from confidence"
PREDICTED = "Predicted classes, canary against stable"
INPUTS = "Inputs, the last hour against the day before"
ERRORS = "Errors, canary against stable"
CHANCE = "The grey line is what chance alone reaches once in a thousand, which for few requests is a lot."
Of = Callable[..., str]
_OVER = Steps(GOOD, ((1.0, WARN),))


def build(terms: Terms) -> Dashboard:
    sections = [Section("", (*abreast(_state(terms)), firing.alerts(terms.runbooks, Size(24, 6))))]
    if terms.slices:
        sections.append(Section("By slice", tuple(parts.slices())))
    if terms.classification:
        sections.append(Section("By class", tuple(parts.classes(terms))))
        if terms.examples:
            sections.append(Section("Confidence", tuple(_confidence())))
        sections.append(Section("Predicted classes", tuple(_predicted(terms))))
    else:
        sections.append(Section("Size of the errors", tuple(_errors())))
    sections.append(Section("Inputs", tuple(_inputs())))
    return assembled(
        uid(KIND, terms.model),
        f"Makeweight: {terms.model}, drift",
        f"What {terms.model} shows without labels, and each part of it with labels: evidence to be weighed.",
        sections,
        of_project(terms),
        marks(),
        runbooks=terms.runbooks,
        span="24h",
    )


def _state(terms: Terms) -> Iterator[Panel]:
    yield firing.state()
    if terms.classification and terms.examples:
        yield _over("Confidence", "canary against stable", _share(names.SCORE_PSI, names.SCORE_PSI_FLOOR, of_revision))
        worst = " or ".join(
            f"max({of(names.REFERENCE_PSI)} / {of(names.REFERENCE_PSI_FLOOR)})" for of in (of_canary, of_stable)
        )
        yield _over("Against the test split", "the confidence of the worse arm", f"max({worst})")
    if terms.classification:
        yield _over(
            "Predicted classes",
            "canary against stable",
            _share(names.PREDICTED_PSI, names.PREDICTED_PSI_FLOOR, of_revision),
        )
    else:
        yield _over(
            "Size of the errors", "canary against stable", _share(names.ERROR_PSI, names.ERROR_PSI_FLOOR, of_revision)
        )
    yield _over(
        "Inputs",
        "the feature that moved most, the last hour against the day before",
        _share(names.FEATURE_PSI, names.FEATURE_PSI_FLOOR, of_model),
        nothing="no feature is watched",
    )
    for test, series in parts.tested(terms):
        yield value(
            f"Worst {test}",
            f"Way to rollback of the {test} with the most evidence against the canary; at 100 % it is asked for.",
            "percentunit",
            Query(f"max({way_to_rollback(of_revision(series), line(test))})"),
            steps=WAY,
            nothing="no labelled pair yet",
            decimals=0,
        )


def _share(psi: str, floor: str, of: Of) -> str:
    return f"max({of(psi)} / {of(floor)})"


def _over(title: str, of_what: str, expression: str, nothing: str = "too little seen yet") -> Panel:
    return value(
        title,
        f"The stability index ({of_what}) as a multiple of what chance alone reaches once in a thousand: above 1 "
        "something differs; whether it matters is another question.",
        "none",
        Query(expression),
        STAT,
        steps=_OVER,
        decimals=2,
        nothing=nothing,
    )


def _confidence() -> Iterator[Panel]:
    yield lines(
        CONFIDENCE,
        f"Population stability index of the confidence in the answers. {CHANCE}",
        "none",
        [
            Query(of_revision(names.SCORE_PSI), "canary {{revision}}", CANARY),
            Query(of_revision(names.SCORE_PSI_FLOOR), "chance {{revision}}", FLOOR),
        ],
        least=0,
    )
    yield bars(
        "Confidence now",
        "Shares of the answers of half an hour by bin of the top class's confidence, from the lowest; and of the test "
        "split.",
        "percentunit",
        "bin",
        [
            Query(f"max by (bin) ({of_stable(names.SCORE_SHARE)})", "stable", STABLE),
            Query(f"max by (bin) ({of_canary(names.SCORE_SHARE)})", "canary", CANARY),
            Query(f"max by (bin) ({of_canary(names.SCORE_REFERENCE)})", "canary on the test split", REFERENCE),
        ],
    )
    yield lines(
        TEST_SPLIT,
        f"Population stability index of each arm against its own answers on the test split. {CHANCE}",
        "none",
        [
            *both(names.REFERENCE_PSI),
            Query(of_stable(names.REFERENCE_PSI_FLOOR), "chance, stable", FLOOR),
            Query(of_canary(names.REFERENCE_PSI_FLOOR), "chance, canary {{revision}}", FLOOR.dashed()),
        ],
        least=0,
    )
    yield lines(
        ESTIMATE,
        "Without labels: each bin of confidence counts with the accuracy that it had on the test split (CBPE), and the "
        "accuracy on the whole of that. It sees inputs that are harder; it is blind to answers that became wrong "
        "without the model noticing.",
        "percentunit",
        [
            *both(names.CBPE),
            Query(of_stable(names.REFERENCE_ACCURACY), "stable, test split", STABLE.dotted()),
            Query(of_canary(names.REFERENCE_ACCURACY), "canary, test split", CANARY.dotted()),
        ],
    )


def _predicted(terms: Terms) -> Iterator[Panel]:
    yield lines(
        PREDICTED,
        f"Population stability index of the predicted classes. {CHANCE}",
        "none",
        [
            Query(of_revision(names.PREDICTED_PSI), "canary {{revision}}", CANARY),
            Query(of_revision(names.PREDICTED_PSI_FLOOR), "chance {{revision}}", FLOOR),
        ],
        least=0,
    )
    if terms.classes > MANY_CLASSES:
        return
    yield bars(
        "Predicted classes now",
        "Shares of the answers of half an hour by class. `other` are classes beyond those that are told apart.",
        "percentunit",
        "class",
        [
            Query(f"max by (class) ({of_stable(names.PREDICTED_SHARE)})", "stable", STABLE),
            Query(f"max by (class) ({of_canary(names.PREDICTED_SHARE)})", "canary", CANARY),
        ],
    )


def _errors() -> Iterator[Panel]:
    yield lines(
        ERRORS,
        f"Population stability index of the absolute error of labelled predictions, over six hours. {CHANCE}",
        "none",
        [
            Query(of_revision(names.ERROR_PSI), "canary {{revision}}", CANARY),
            Query(of_revision(names.ERROR_PSI_FLOOR), "chance {{revision}}", FLOOR),
        ],
        least=0,
    )
    yield bars(
        "Errors now",
        "Shares of the labelled predictions of six hours by bin of the absolute error, from the smallest. The edges of "
        "the bins are in reference.json.",
        "percentunit",
        "bin",
        [
            Query(f"max by (bin) ({of_stable(names.ERROR_SHARE)})", "stable", STABLE),
            Query(f"max by (bin) ({of_canary(names.ERROR_SHARE)})", "canary", CANARY),
        ],
    )


def _inputs() -> Iterator[Panel]:
    yield lines(
        INPUTS,
        "Population stability index of each watched feature; both arms see the same inputs, so they are pooled. "
        f"{CHANCE}",
        "none",
        [
            Query(of_model(names.FEATURE_PSI), "{{feature}}"),
            Query(of_model(names.FEATURE_PSI_FLOOR), "chance, {{feature}}", FLOOR),
        ],
        least=0,
    )
    by = "feature, bin"
    yield rows(
        "Inputs now",
        "Share of each bin of each watched feature, from the lowest bin, in the last hour and in the day before it.",
        [
            Query(f"max by ({by}) ({of_model(names.FEATURE_SHARE_1H)})"),
            Query(f"max by ({by}) ({of_model(names.FEATURE_SHARE_1D)})"),
        ],
        [
            Column("feature", "feature"),
            Column("bin", "bin"),
            Column("Value #A", "last hour", "percentunit"),
            Column("Value #B", "day before", "percentunit"),
        ],
        HALF,
        nothing="no feature is watched",
    )
