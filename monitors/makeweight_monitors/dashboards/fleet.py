"""All models at a glance: what fires, what is served, how each canary does. The same for every project."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from makeweight_monitors.dashboards import firing
from makeweight_monitors.dashboards.board import Section, assembled, chosen
from makeweight_monitors.dashboards.look import CANARY, LIMIT, STABLE
from makeweight_monitors.dashboards.marks import marks
from makeweight_monitors.dashboards.panel import (
    HALF,
    NONE_IS_GOOD,
    STAT,
    WIDE,
    Column,
    Size,
    lines,
    rows,
    states,
    value,
)
from makeweight_monitors.dashboards.query import Query, of_model
from makeweight_monitors.dashboards.rollback import CERTIFIED, WAY, line, way_to_rollback
from makeweight_monitors.metrics import BUILD_INFO, MODEL_BYTES, PREDICTIONS
from makeweight_monitors.rules import names

UID = "mw-fleet"
_CANARY, _STABLE = 'variant="canary"', 'variant="stable"'
_ONE = "model, revision"
_LINE = line("paired")


def build(runbooks: str) -> Dashboard:
    model = chosen(
        "model",
        "Model",
        "The models that are shown.",
        f"label_values({PREDICTIONS.series}, model)",
        several=True,
    )
    return assembled(
        UID,
        "Makeweight: fleet",
        "All models and their compressed canaries: what fires, what is served, how each does.",
        [
            Section("", (*_state(), _canaries(), firing.alerts(runbooks, Size(24, 6)))),
            Section("How the canaries do", tuple(_canary_graphs())),
            Section("What is served", tuple(_served())),
        ],
        [model],
        marks(),
        runbooks=runbooks,
        span="6h",
    )


def _way() -> str:
    return way_to_rollback(of_model(names.EVALUE), _LINE)


def _size_ratio() -> str:
    canary = f"max by (model, revision) ({of_model(MODEL_BYTES.series, _CANARY)})"
    return f"{canary}\n/ on (model) group_left ()\nmax by (model) ({of_model(MODEL_BYTES.series, _STABLE)})"


def _state() -> list[Panel]:
    serving = f"count(\n  sum by ({_ONE}) ({of_model(names.TRAFFIC, _CANARY)}) > 0\n) or vector(0)"
    return [
        firing.state(),
        firing.counted(
            "rollback", "Rollbacks asked for", "Sequential tests that are over their line.", STAT, NONE_IS_GOOD
        ),
        firing.counted("alarm", "Alarms", "What somebody has to look at now.", STAT, NONE_IS_GOOD),
        value(
            "Models",
            "Models that at least one process counts predictions of.",
            "short",
            Query(f"count(count by (model) ({of_model(PREDICTIONS.series)}))"),
        ),
        value("Canaries that serve", "Canaries with requests in the last five minutes.", "short", Query(serving)),
        value(
            "Predictions",
            "Of all models and both arms, over five minutes. A shadowed request counts for both.",
            "reqps",
            Query(f"sum({of_model(names.TRAFFIC)})"),
        ),
    ]


def _canaries() -> Panel:
    fired = of_model("ALERTS", 'alertstate="firing"', 'severity!="none"', 'revision!=""')
    return rows(
        "Canaries",
        "One row for each canary. Way to rollback: how much of the evidence that a rollback takes the labelled pairs "
        "give. Drop: share of pairs on which the canary lost an answer, less those on which it won one. Safe without "
        "labels: even the upper bound of the disagreement is within the tolerated drop.",
        [
            Query(f"max by ({_ONE}) ({of_model(names.TRAFFIC, _CANARY)})"),
            Query(f"max by ({_ONE}) (\n{_way()}\n)"),
            Query(f"max by ({_ONE}) ({of_model(names.PAIRED_DROP)})"),
            Query(f"max by ({_ONE}) ({of_model(names.CERTIFIED)})"),
            Query(f"max by ({_ONE}) ({of_model(names.LATENCY_RATIO[0.5])})"),
            Query(_size_ratio()),
            Query(f"count by ({_ONE}) ({fired})"),
        ],
        [
            Column(
                "model",
                "model",
                link=("This canary against stable", "/d/mw-canary-${__data.fields.model}?${__url_time_range}"),
            ),
            Column("revision", "revision"),
            Column("Value #A", "requests", "reqps"),
            Column("Value #B", "way to rollback", "percentunit", WAY),
            Column("Value #C", "drop", "percentunit"),
            Column("Value #D", "without labels", words=CERTIFIED),
            Column("Value #E", "p50 of stable's", "percentunit"),
            Column("Value #F", "size of stable's", "percentunit"),
            Column("Value #G", "alerts", steps=NONE_IS_GOOD),
        ],
        Size(24, 6),
        nothing="",
        most_first="way to rollback",
    )


def _canary_graphs() -> list[Panel]:
    return [
        lines(
            "Way to rollback",
            "The logarithm of each canary's e-value as a share of that of its line: at 100 % a rollback is asked for.",
            "percentunit",
            [
                Query(_way(), "{{model}} {{revision}}"),
                Query(f"max({_LINE}) ^ 0", "roll back", LIMIT),
            ],
            least=0,
            most=1,
        ),
        states(
            "Safe without labels",
            "While stable and the canary differ on so few requests that no drop beyond the tolerated one fits in. "
            "That it is not shown says nothing against the canary.",
            Query(of_model(names.CERTIFIED), "{{model}} {{revision}}"),
            CERTIFIED,
        ),
        lines(
            "Accuracy",
            "Of labelled answers over half an hour.",
            "percentunit",
            [
                Query(of_model(names.ACCURACY, _STABLE), "{{model}} stable", STABLE),
                Query(of_model(names.ACCURACY, _CANARY), "{{model}} canary {{revision}}", CANARY),
            ],
        ),
        lines(
            "Median latency against stable's",
            "Canary / stable, as the servers saw it; below 100 % the canary is faster.",
            "percentunit",
            [Query(of_model(names.LATENCY_RATIO[0.5]), "{{model}} {{revision}}")],
            least=0,
        ),
    ]


def _served() -> list[Panel]:
    facts = "model, revision, variant, compressed, bits, runtime, recipe, sha256"
    return [
        rows(
            "Builds",
            "Which compressed variant is served under which name, and by how many processes.",
            [Query(f"sum by ({facts}) ({of_model(BUILD_INFO.series)})")],
            [
                Column("model", "model"),
                Column("variant", "variant", width=80),
                Column("revision", "revision"),
                Column("compressed", "is"),
                Column("bits", "bits", width=60),
                Column("runtime", "runtime"),
                Column("recipe", "recipe"),
                Column("sha256", "sha256", width=130),
                Column("Value", "processes", width=95),
            ],
            WIDE,
        ),
        lines(
            "Requests",
            "Predictions by model and arm, over five minutes.",
            "reqps",
            [
                Query(of_model(names.TRAFFIC, _STABLE), "{{model}} stable", STABLE),
                Query(of_model(names.TRAFFIC, _CANARY), "{{model}} canary {{revision}}", CANARY),
            ],
            HALF,
            least=0,
        ),
        lines(
            "Size of the model files",
            "Bytes of the file that each arm serves.",
            "decbytes",
            [
                Query(f"max by (model) ({of_model(MODEL_BYTES.series, _STABLE)})", "{{model}} stable", STABLE),
                Query(
                    f"max by ({_ONE}) ({of_model(MODEL_BYTES.series, _CANARY)})",
                    "{{model}} canary {{revision}}",
                    CANARY,
                ),
            ],
            HALF,
            least=0,
        ),
    ]
