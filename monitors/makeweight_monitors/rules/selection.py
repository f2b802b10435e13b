"""Whether labels come regardless of whether the two models agree: where they do not, the paired tests say nothing.

A pair that agrees is a tie whatever the truth is. So labels that come more readily for pairs that differ, or for wrong
answers of the canary's (which differ more often than right ones), leave a trace: among the labelled pairs more differ
than among all.
"""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.metrics import PAIRED, SHADOW_LABELLED, SHADOW_PAIRS
from makeweight_monitors.rules import names, restarts
from makeweight_monitors.rules.promql import Z_RARE, block, exact
from makeweight_monitors.rules.rule import Alert, Comparison, Level, Recording, Rule
from makeweight_monitors.rules.terms import Terms

APART = 'agree="no"'


def rules(terms: Terms) -> Iterator[Rule]:
    for name, name_since, metric in (
        (names.SHADOWED, names.SHADOWED_SINCE, SHADOW_PAIRS),
        (names.SHADOW_LABELLED, names.SHADOW_LABELLED_SINCE, SHADOW_LABELLED),
    ):
        yield Recording(name, exact(metric, terms.model, ("agree",)))
        yield Recording(name_since, restarts.since(terms, terms.of(name)))
    pairs, labelled = terms.of(names.SHADOWED), terms.of(names.SHADOW_LABELLED)
    apart, labelled_apart = terms.of(names.SHADOWED, APART), terms.of(names.SHADOW_LABELLED, APART)
    yield Recording(names.PAIR_COVERAGE, f"{labelled} / ({pairs} > 0)")
    # the root of a count spreads alike for few and for many (Anscombe 1948): the first label may well be of a pair that
    # differs
    share = f"sum by (model, revision) ({apart}) / sum by (model, revision) ({pairs})"
    yield Recording(
        names.LABELS_EXCESS,
        block(f"""
            2 * (
              sqrt(sum by (model, revision) ({labelled_apart}))
              - sqrt(sum by (model, revision) ({labelled}) * {share})
            ) / sqrt(1 - {share}) > -Inf
            or
            sum by (model, revision) ({terms.of(PAIRED.series)}) * 0
            """),
    )
    yield Alert(
        names.LABELS_SELECTED,
        Comparison(terms.of(names.LABELS_EXCESS), ">", Z_RARE),
        Level("alarm", "ticket"),
        hold="5m",
        summary="{{ $labels.model }} {{ $labels.revision }}: labels come more readily where the two models differ",
        description="Among labelled pairs more differ than among all, by {{ $value | humanize }} standard deviations. "
        "The paired tests need labels that come regardless of who was right and of whether the two agree; until they "
        "do, these tests are off and ask for no rollback.",
    )


def unselected(terms: Terms, evalue: str) -> str:
    """The e-value of pairs, where labels do not betray a choice; divided by what speaks for one.

    Few labels that are chosen look like harm before the choice shows beyond doubt. By a normal deviate z it is
    exp(z^2 / 2) times as likely as by chance at most; squared, that outgrows the harm that the choice feigns.
    """
    excess = terms.of(names.LABELS_EXCESS)
    return block(f"""
        (
          {evalue}
          / on (model, revision) group_left () exp(clamp_min({excess}, 0) ^ 2)
          unless on (model, revision) {excess} > {Z_RARE}
        )
        """)


def ties(terms: Terms, count: str, harm: str, help: str) -> str:
    """How many labelled pairs tie: as counted, or if it is more, as many as come with the labelled ones that differ.

    Ties need no label. Where few of those that agree get one, ties are told from how many of all pairs agree.
    """
    counted = f"{count} - {harm} - {help}"
    if not terms.classification:
        return counted  # two answers within the tolerance of each other may lie on both sides of it
    added = "sum by (model, revision, since) ({})".format
    known = added(terms.of(names.SHADOW_LABELLED_SINCE, APART))
    share = f"{added(terms.of(names.SHADOWED_SINCE))} / {added(terms.of(names.SHADOWED_SINCE, APART))}"
    return block(f"""
        ({known} * {share} - {harm} - {help} > {counted})
        or
        {counted}
        """)
