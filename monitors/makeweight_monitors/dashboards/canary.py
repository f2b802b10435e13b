"""One model's canary against stable: is it worse, how do we know, and what does it gain?"""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from makeweight_monitors import durations
from makeweight_monitors.dashboards import failing, firing, gain
from makeweight_monitors.dashboards.board import Section
from makeweight_monitors.dashboards.look import CANARY, FLOOR, GOOD, LIMIT, STABLE, WARN, Look
from makeweight_monitors.dashboards.panel import Steps, abreast, lines, states, value
from makeweight_monitors.dashboards.project import of_project
from makeweight_monitors.dashboards.query import Query, both, of_budget, of_canary, of_revision, of_stable
from makeweight_monitors.dashboards.rollback import CERTIFIED, LEAST_DRAWN, drawn, line, worst
from makeweight_monitors.metrics import MODEL_BYTES
from makeweight_monitors.rules import burn, names
from makeweight_monitors.rules.limits import limits
from makeweight_monitors.rules.restarts import FIRST
from makeweight_monitors.rules.terms import Terms

FAILURES = "Failures: e-value"
EVALUES = "Wrong answers: e-value"
DROP = "Drop in accuracy"
DISAGREEMENT = "Disagreement"
PAIRS_SEEN = "Labelled pairs: who was right"
SPLIT = "Labelled requests of split traffic"
SHARE = "The canary's share: actual and declared"


def build(terms: Terms) -> Dashboard:
    sections = [
        Section("", (*abreast(_state(terms)), firing.alerts(terms.runbooks))),
        Section("Does it fail? Without labels", tuple(_failures(terms))),
    ]
    if terms.judged:
        sections.append(Section("Is it worse? By labels", tuple(_labels(terms))))
        sections.append(Section("Does it answer otherwise? Without labels", tuple(_without_labels(terms))))
    sections.append(Section("Is it faster and smaller?", tuple(gain.panels(terms))))
    budgets = tuple(_budgets(terms))
    if budgets:
        sections.append(Section("Budgets that burn", budgets, collapsed=True))
    sections.append(Section("Split traffic, by the canary's share", tuple(_split(terms)), collapsed=True))
    what = f"Is the compressed canary of {terms.model} worse than the model it is to replace, and what does it gain?"
    return of_project(terms, "canary", "canary against stable", what, sections, span="6h")


def _state(terms: Terms) -> Iterator[Panel]:
    yield firing.state()
    yield failing.state()
    if terms.drop is not None and terms.judged:
        yield worst(
            "How near to a rollback",
            "How much of the e-value that a rollback takes the labelled pairs give, by logarithms: at 100 % a "
            "rollback is asked for.",
            names.PAIRS.evalue,
            "paired",
        )
        yield value(
            "Accuracy lost so far",
            "(harm - help) / pairs since the canary began: how much accuracy it costs by the labelled pairs. "
            f"{terms.drop:.2%} is tolerated.",
            "percentunit",
            f"max({of_revision(names.PAIRED_DROP)})",
            steps=Steps(GOOD, ((terms.drop if terms.drop > 0 else 1e-9, WARN),)),
            nothing="no labelled pair yet",
            decimals=2,
        )
    if terms.drop is not None and terms.classification:
        yield value(
            "Shown safe without labels",
            "`safe`: stable and the canary differ on so few requests that no drop beyond the tolerated one fits in. "
            "That it is not shown says nothing against the canary.",
            "none",
            f"min({of_revision(names.CERTIFIED)})",
            words=CERTIFIED,
            nothing="no pair yet",
        )
    elif terms.judged:
        what = "Share of shadowed requests that the two answered differently, over half an hour."
        share = f"max({of_revision(names.DISAGREEMENT)})"
        yield value("Disagreement", what, "percentunit", share, nothing="no pair yet", decimals=2)
    ratio = limits(terms).get("latency_ratio_p50")
    yield value(
        "Median latency",
        "Canary / stable, as the server saw it; below 100 % the canary is faster."
        + (f" The budget allows {ratio:.0%}." if ratio is not None else ""),
        "percentunit",
        f"max({of_revision(names.LATENCY_RATIO[0.5])})",
        steps=Steps(GOOD, ((1.0 if ratio is None else ratio, WARN),)),
        decimals=0,
    )
    what = "The canary's model file as a share of stable's."
    size = f"max({of_canary(MODEL_BYTES.series)})\n/\nmax({of_stable(MODEL_BYTES.series)})"
    yield value("Model file", what, "percentunit", size, steps=Steps(GOOD, ((1.0, WARN),)), decimals=0)
    if terms.drop is None:
        requests = f"sum({of_canary(names.TRAFFIC)})"
        yield value("Requests to the canary", "Predictions of the canary, over five minutes.", "reqps", requests)


def _band(low: str, high: str, arm: str, look: Look) -> list[Query]:
    """A 99 % interval as an area: its lower edge, and the upper one that is filled down to it."""
    edge = f"{arm}, lower end"
    return [Query(low, edge, look.edge()), Query(high, f"{arm}, 99 % interval", look.to(edge))]


def _failures(terms: Terms) -> Iterator[Panel]:
    yield failing.over_time()
    if terms.drop is not None:
        yield lines(
            FAILURES,
            "E-value that the canary fails more often than stable by more than is tolerated, on a logarithmic axis: "
            "at the line a rollback is asked for. It needs no label, and the two may have had different requests.",
            "short",
            Query(_drawn(names.FAILURES.evalue), "failures {{revision}}", CANARY),
            Query(f"max({line('failures')})", "roll back", LIMIT),
            axis="log",
        )
    else:
        yield failing.by_reason()


def _labels(terms: Terms) -> Iterator[Panel]:
    if terms.drop is not None:
        yield _evalues()
        yield lines(
            DROP,
            "How much less accurate than stable: over half an hour with its 99 % interval (Newcombe), and by labelled "
            "pairs since the canary began. An interval that is looked at all day errs often; the e-value does not.",
            "percentunit",
            *_band(of_revision(names.DROP_LOW), of_revision(names.DROP_HIGH), "half an hour", CANARY),
            Query(of_revision(names.DROP), "half an hour {{revision}}", CANARY),
            Query(of_revision(names.PAIRED_DROP), "by pairs, so far {{revision}}", Look("purple")),
            Query(of_budget(names.TOLERATED_DROP, 'test="paired"'), "tolerated", LIMIT),
            least=None,
        )
    within = "" if terms.classification else " An answer is right within the tolerance that its server was told."
    yield lines(
        "Accuracy",
        f"Of labelled answers over half an hour, with 99 % intervals (Wilson).{within}",
        "percentunit",
        *_band(of_stable(names.ACCURACY_LOW), of_stable(names.ACCURACY_HIGH), "stable", STABLE),
        *_band(of_canary(names.ACCURACY_LOW), of_canary(names.ACCURACY_HIGH), "canary", CANARY),
        *both(names.ACCURACY),
        least=None,
    )
    if terms.drop is not None:
        yield lines(
            PAIRS_SEEN,
            "Labelled requests that both answered, since the canary began. Harm: stable right, canary wrong; help: the "
            "other way round. On all others they tie, and a tie speaks for the canary.",
            "short",
            Query(of_revision(names.PAIRS.harm), "harm {{revision}}", Look("red")),
            Query(of_revision(names.PAIRS.help), "help {{revision}}", Look("green")),
            Query(of_revision(names.PAIRS.count), "pairs {{revision}}", FLOOR),
            axis="counts",
        )


def _drawn(series: str) -> str:
    return drawn(of_revision(series))


def _evalues() -> Panel:
    return lines(
        EVALUES,
        "E-value that the canary is worse than tolerated, on a logarithmic axis: at the line a rollback is asked for, "
        f"below 1 it speaks for the canary (at most {LEAST_DRAWN} is drawn as such). Half of it is of tests that begin "
        "anew every ten minutes, so that a late change is seen soon.",
        "short",
        Query(_drawn(names.PAIRS.evalue), "pairs {{revision}}", CANARY),
        Query(_drawn(names.SPLIT.evalue), "split traffic {{revision}}", Look("purple")),
        Query(f"max({line('paired')})", "roll back", LIMIT),
        axis="log",
    )


def _without_labels(terms: Terms) -> Iterator[Panel]:
    found = limits(terms)
    queries = [
        *_band(of_revision(names.DISAGREEMENT_LOW), of_revision(names.DISAGREEMENT_HIGH), "canary", CANARY),
        Query(of_revision(names.DISAGREEMENT), "canary {{revision}}", CANARY),
    ]
    if terms.classification:
        if terms.drop is not None:
            queries.append(Query(of_budget(names.TOLERATED_DROP, 'test="paired"'), "tolerated drop", LIMIT))
        if "disagreement" in found:
            expected = of_budget(names.LIMIT, 'what="disagreement"')
            queries.append(Query(expected, "most that the budget leads to expect", FLOOR))
        text = (
            "Share of shadowed requests that the two answered differently, with its 99 % interval. It bounds the drop "
            "in accuracy from above: an interval wholly below the tolerated drop is a proof of safety, one above it is "
            "no proof of harm."
        )
    else:
        apart = "Share of shadowed requests whose two answers lie further apart than the tolerance"
        text = f"{apart}, with its 99 % interval."
    yield lines(DISAGREEMENT, text, "percentunit", *queries)
    if terms.drop is not None and terms.classification:
        yield states(
            "Safe without labels",
            "While the upper end of the disagreement's interval is within the tolerated drop.",
            Query(of_revision(names.CERTIFIED), "{{revision}}"),
            CERTIFIED,
        )
    else:
        what = "Shadowed requests that both answered: how many the disagreement is a share of."
        pairs = Query(of_revision(names.DISAGREEMENT_PAIRS), "pairs {{revision}}", CANARY)
        yield lines("Pairs in half an hour", what, "short", pairs)


def _budgets(terms: Terms) -> Iterator[Panel]:
    """One panel for each objective: the share of bad events over its windows, and what is allowed."""
    for objective in burn.objectives(terms):
        queries: list[Query] = []
        windows = sorted({w for one in objective.windows() for w in (one.long, one.short)}, key=durations.seconds)
        shown = [windows[0], *[one.long for one in objective.windows()[:2]]]
        for window, dash in zip(dict.fromkeys(shown), ("dotted", "dashed", ""), strict=False):
            series = names.burn_ratio(objective.what, window)
            stable, canary = (getattr(look, dash)() if dash else look for look in (STABLE, CANARY))
            if objective.what == "flips":
                queries.append(Query(of_revision(series), f"canary {{{{revision}}}} {window}", canary))
            else:
                queries += both(series, f" {window}", stable, canary)
        queries.append(Query(of_budget(names.LIMIT, f'what="{objective.what}"'), "allowed", LIMIT))
        yield lines(
            budget_title(objective),
            f"Share of {objective.of} that are bad, over windows of rising length, and the share that the budget "
            "allows. Alerts need a long window and a short one to be over a multiple of it.",
            "percentunit",
            *queries,
        )


def budget_title(objective: burn.Objective) -> str:
    percentile = "" if objective.quantile is None else f"slower than p{objective.quantile * 100:g} may be"
    return "Budget: " + {"wrong": "wrong answers", "flips": "answers that turned wrong"}.get(objective.what, percentile)


def _split(terms: Terms) -> Iterator[Panel]:
    """Requests that went to one arm, and got their label."""
    yield lines(
        SHARE,
        "The canary's share of all requests in half an hour, and the one that was declared. No test relies on it.",
        "percentunit",
        Query(of_revision(names.SHARE), "canary {{revision}}", CANARY),
        Query(of_revision(names.SHARE_DECLARED), "declared {{revision}}", LIMIT),
    )
    if terms.drop is None or not terms.judged:
        return
    at_each = of_revision(names.SPLIT.evalue_at_weight, FIRST)
    yield lines(
        "Split traffic: e-value at each share",
        "Each arm counts for itself, at each declared share apart, since the canary began; their e-values are "
        "multiplied.",
        "short",
        Query(drawn(at_each), "at {{weight}} {{revision}}"),
        Query(f"max({line('split')})", "roll back", LIMIT),
        axis="log",
    )
    yield lines(
        SPLIT,
        "Since the canary began.",
        "short",
        Query(of_revision(names.SPLIT.canary_wrong), "canary wrong, at {{weight}}", CANARY),
        Query(of_revision(names.SPLIT.stable_wrong), "stable wrong, at {{weight}}", STABLE),
        Query(of_revision(names.SPLIT.canary), "canary, at {{weight}}", CANARY.dotted()),
        Query(of_revision(names.SPLIT.stable), "stable, at {{weight}}", STABLE.dotted()),
        axis="counts",
    )
