"""All models at a glance: what fires, what is served, how each canary does. The same for every project."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from makeweight_monitors.dashboards import failing, firing
from makeweight_monitors.dashboards.board import Section, assembled, chosen
from makeweight_monitors.dashboards.look import CANARY, LIMIT, STABLE
from makeweight_monitors.dashboards.panel import NONE_IS_GOOD, WIDE, Column, Size, abreast, lines, rows, states, value
from makeweight_monitors.dashboards.query import HERE, Query, of_alerts, of_model, placed
from makeweight_monitors.dashboards.rollback import CERTIFIED, WAY, line, way_to_rollback
from makeweight_monitors.metrics import BUILD_INFO, MODEL_BYTES, PREDICTIONS
from makeweight_monitors.rules import names, promql
from makeweight_monitors.rules.promql import selector

_ONE = "model, revision"
_LINE = line("paired")
_WAY = way_to_rollback(of_model(names.PAIRS.evalue), _LINE)


def build(runbooks: str, environment: Sequence[str]) -> Dashboard:
    question = f"label_values({placed(selector(PREDICTIONS.series, HERE), environment)}, model)"
    return assembled(
        "mw-fleet",
        "Makeweight: fleet",
        "All models and their compressed canaries: what fires, what is served, how each does.",
        [
            Section("", (*abreast(_state()), _canaries(environment), firing.alerts(runbooks))),
            Section("How the canaries do", tuple(_canary_graphs())),
            Section("What is served", tuple(_served())),
        ],
        [chosen("model", "Model", "The models that are shown.", question, several=True)],
        environment=environment,
        runbooks=runbooks,
        span="6h",
    )


def _sizes() -> tuple[str, str]:
    """Bytes of the file that each arm serves: the stable model's and the canary's."""
    stable, canary = (of_model(MODEL_BYTES.series, arm) for arm in (promql.STABLE, promql.CANARY))
    return f"max by (model) ({stable})", f"max by ({_ONE}) ({canary})"


def _arms(stable: str, canary: str) -> list[Query]:
    return [Query(stable, "{{model}} stable", STABLE), Query(canary, "{{model}} canary {{revision}}", CANARY)]


def _both(series: str) -> list[Query]:
    return _arms(of_model(series, promql.STABLE), of_model(series, promql.CANARY))


def _state() -> list[Panel]:
    canaries = f"count(\n  sum by ({_ONE}) ({of_model(names.TRAFFIC, promql.CANARY)}) > 0\n)"
    serving = f"{canaries} or 0 * count({of_model(names.TRAFFIC)})"
    both = "Of all models and both arms, over five minutes. A shadowed request counts for both."
    counted = f"count(count by (model) ({of_model(PREDICTIONS.series)}))"
    return [
        firing.state(),
        failing.state(),
        firing.counted("rollback", "Rollbacks asked for", "Sequential tests that are over their line."),
        firing.counted("alarm", "Alarms", "What somebody has to look at now."),
        value("Models", "Models that at least one process counts predictions of.", "short", counted),
        value("Canaries that serve", "Canaries with requests in the last five minutes.", "short", serving),
        value("Predictions", both, "reqps", f"sum({of_model(names.TRAFFIC)})"),
    ]


def _canaries(environment: Sequence[str]) -> Panel:
    fired = of_alerts('alertstate="firing"', 'severity!="none"', 'revision!=""')
    stable_size, canary_size = _sizes()
    of_stables = f"{canary_size}\n/ on (model) group_left ()\n{stable_size}"
    where = "".join(f"&${{{label}:queryparam}}" for label in environment)
    link = ("This canary against stable", f"/d/mw-canary-${{__data.fields.model}}?${{__url_time_range}}{where}")

    def of_each(series: str, *matchers: str) -> str:
        return f"max by ({_ONE}) ({of_model(series, *matchers)})"

    return rows(
        "Canaries",
        "One row for each canary. How near to a rollback: how much of the e-value that one takes the labelled pairs "
        "give. Drop: share of pairs on which the canary lost an answer, less those on which it won one. Safe without "
        "labels: even the upper bound of the disagreement is within the tolerated drop.",
        Column("model", link=link),
        Column("revision"),
        Column("requests", of_each(names.TRAFFIC, promql.CANARY), "reqps"),
        Column("failed", of_each(names.FAILED, promql.CANARY), "percentunit"),
        Column("way to rollback", f"max by ({_ONE}) (\n{_WAY}\n)", "percentunit", WAY),
        Column("drop", of_each(names.PAIRED_DROP), "percentunit"),
        Column("without labels", of_each(names.CERTIFIED), words=CERTIFIED),
        Column("p50 of stable's", of_each(names.LATENCY_RATIO[0.5]), "percentunit"),
        Column("size of stable's", of_stables, "percentunit"),
        Column("alerts", f"count by ({_ONE}) ({fired})", steps=NONE_IS_GOOD),
        size=Size(24, 6),
        nothing="",
        most_first="way to rollback",
    )


def _canary_graphs() -> list[Panel]:
    return [
        lines(
            "How near to a rollback",
            "The logarithm of each canary's e-value as a share of that of its line: at 100 % a rollback is asked for.",
            "percentunit",
            Query(_WAY, "{{model}} {{revision}}"),
            Query(f"max({_LINE}) ^ 0", "roll back", LIMIT),
            most=1,
        ),
        states(
            "Safe without labels",
            "While stable and the canary differ on so few requests that no drop beyond the tolerated one fits in. "
            "That it is not shown says nothing against the canary.",
            Query(of_model(names.CERTIFIED), "{{model}} {{revision}}"),
            CERTIFIED,
        ),
        lines("Accuracy", "Of labelled answers over half an hour.", "percentunit", *_both(names.ACCURACY), least=None),
        lines(
            "Median latency against stable's",
            "Canary / stable, as the servers saw it; below 100 % the canary is faster.",
            "percentunit",
            Query(of_model(names.LATENCY_RATIO[0.5]), "{{model}} {{revision}}"),
        ),
    ]


def _served() -> list[Panel]:
    facts = "model, revision, variant, compressed, bits, runtime, recipe, sha256"
    served = "Predictions by model and arm, over five minutes."
    loaded = "Bytes of the file that each arm serves."
    return [
        rows(
            "Builds",
            "Which compressed variant is served under which name, and by how many processes.",
            Column("model"),
            Column("variant", width=80),
            Column("revision"),
            Column("is", label="compressed"),
            Column("bits", width=60),
            Column("runtime"),
            Column("recipe"),
            Column("sha256", width=130),
            Column("processes", f"sum by ({facts}) ({of_model(BUILD_INFO.series)})", width=95),
            size=WIDE,
        ),
        lines("Requests", served, "reqps", *_both(names.TRAFFIC)),
        lines("Size of the model files", loaded, "decbytes", *_arms(*_sizes())),
    ]
