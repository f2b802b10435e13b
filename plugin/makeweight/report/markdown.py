"""The verdict as GitHub-flavoured Markdown: what was decided, why, and what would pass; the rest is folded away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.budget.quantity import FRACTION, show
from makeweight.decide.verdict import Alteration, Outcome, RuleVerdict
from makeweight.layout import BASELINE
from makeweight.report import larger, measuring, operators, phases, prose, remarks, throughput, wholes
from makeweight.report.comparison import LATENCY, Cell, cell, costs, from_words, heading, rows
from makeweight.report.content import Content
from makeweight.report.facts import flat, inputs
from makeweight.report.figures import NOT_RECORDED, Figures
from makeweight.report.fitting import Block, Limit, fitted
from makeweight.report.mermaid import quadrant
from makeweight.report.remedy import remedy
from makeweight.report.standing import WORDS, blocking, leading, mark, side, subject, warnings
from makeweight.report.text import elided, markdown, markdown_code, markdown_link, markdown_prose
from makeweight.report.written import dimension, title, written

_MARKS: dict[Outcome, str] = {"pass": "ok", "inconclusive": "**undecided**", "not_applicable": "n/a"}
_NAME = 80


COMMENT = Limit(65_536, lambda text: len(text.encode("utf-16-le")) // 2)
"""A comment on GitHub, which counts characters as UTF-16 does."""
CHECK = Limit(65_535, lambda text: len(text.encode()))
"""The summary of a check run: GitHub says characters, and counts bytes of UTF-8."""
SUMMARY = Limit(2**20, CHECK.measure)
"""The job summary of one step: bytes of UTF-8 (docs.github.com, Workflow commands, Step isolation and limits)."""


def render(content: Content, limit: Limit = COMMENT) -> str:
    """report.md: never longer than GitHub takes; what does not fit is dropped from the bottom, and named."""
    return fitted(_blocks(content, Figures(content)), limit)


def _blocks(content: Content, figures: Figures) -> Iterator[Block]:
    variant = leading(content.verdict)
    headline = markdown_prose(prose.headline(content, figures))
    yield Block("the verdict", f"### makeweight: {prose.word(content)}. {headline}")
    yield from _altered(content)
    noted = prose.notices(content)
    if noted:
        yield Block("the notes", "", ["\n>\n".join(f"> **Note.** {markdown_prose(each)}" for each in noted)])
    if variant is not None:
        let_through = [markdown_prose(each) for each in prose.waivers(content, variant)]
        if let_through:
            yield _listed("what is waived", "Waived", let_through)
        table = _rules_table(content, figures, variant)
        if content.verdict.verdict == "pass" and (taken := content.verdict.provenance.get("measured_at")):
            yield from _taken_over(content, variant, table, str(taken))
            return
        yield table
        yield _listed("the reason", "Why", [markdown_prose(each) for each in prose.reasons(content, figures, variant)])
        if content.verdict.verdict != "pass":
            settling = [markdown_code(each) for each in prose.settling(blocking(content.verdict, variant))]
            if settling:
                yield _listed("what would settle it", "What would settle it", settling)
            would = markdown_prose(remedy(content, figures, variant))
            yield Block("what would pass", f"**What would pass.** {would}")
        yield from _warnings(content, variant)
    if said := [markdown_prose(each) for each in wholes.sentences(content, figures)]:
        yield _listed("the whole", "End to end", said)
    if said := [markdown_prose(each) for each in throughput.sentences(content, figures)]:
        yield _listed("what is said of throughput", "Throughput", said)
    if said := [markdown_prose(each) for each in remarks.remarks(content, figures)]:
        yield _listed("what is said of runtimes", "Runtimes", said)
    if said := [markdown_prose(each) for each in larger.sentences(content)]:
        yield _listed("why something is no smaller", "Not smaller", said)
    if slow := [markdown_prose(each) for each in operators.slowed(content, figures)[: operators.SENTENCES]]:
        yield _listed("why something is not faster", "Not faster", slow)
    yield from _also_altered(content)
    yield _all_variants(content, figures)
    yield from _wholes(figures)
    yield from _throughputs(figures)
    yield from _memory(figures)
    yield _method(content, figures)
    yield _every_rule(content)
    yield Block("the footer", f"<sub>{_footer(content)}</sub>")


def _altered(content: Content) -> Iterator[Block]:
    """What is judged in another way than at the base, side by side: it puts all else in its light."""
    review = content.verdict.review
    if not review.weakening:
        return
    word = prose.word_on_it(review)
    closing = f"\n{markdown_prose(word)}" if word is not None else ""
    table = _side_by_side(review.weakening)
    yield Block("what was altered", f"**{markdown(prose.altered(content))}.**\n\n{table[0]}", table[1], closing)


def _also_altered(content: Content) -> Iterator[Block]:
    """What only adds, tightens, or is judged as a whole."""
    others = [each for each in content.verdict.review.alterations if not each.weakens]
    if others:
        head, lines = _side_by_side(others)
        yield _folded("what else was altered", f"Also not what it is at the base ({len(others)})", head, lines)


def _side_by_side(altered: list[Alteration]) -> tuple[str, list[str]]:
    """The head of a table, and its lines."""
    lines = [
        _row(_term(each.what), _term(each.was), _term(each.now) + (", **waived**" if each.accepted else ""))
        for each in altered
    ]
    return f"{_row('', 'base', 'this change')}\n|---|---|---|", lines


def _term(text: str) -> str:
    return markdown_prose(elided(text, 200))


def _taken_over(content: Content, variant: str, table: Block, commit: str) -> Iterator[Block]:
    """Nothing changed and all is well: nobody who waits for this wants more than that."""
    reason = f"Nothing that makes a model changed: all figures are those of {markdown_code(commit[:7])}."
    yield Block("the reason", reason)
    yield from _warnings(content, variant)
    yield from _also_altered(content)
    yield _folded(table.name, f"The budget ({len(table.lines)})", table.opening, table.lines)
    yield Block("the footer", f"<sub>{_footer(content)}</sub>")


def _warnings(content: Content, variant: str) -> Iterator[Block]:
    warned = warnings(content.verdict, variant)
    if warned:
        yield Block("the warnings", "**Warnings.**", [f"- {_sentence(rule)}" for rule in warned])


def _listed(name: str, head: str, sentences: list[str]) -> Block:
    """A paragraph of one sentence, or a list of several."""
    if len(sentences) == 1:
        return Block(name, f"**{head}.** {sentences[0]}")
    return Block(name, f"**{head}.**", [f"- {each}" for each in sentences])


def _folded(name: str, summary: str, opening: str, lines: list[str], below: str = "") -> Block:
    """What is seen after a click on its summary."""
    head = f"<details><summary>{summary}</summary>\n"
    return Block(name, f"{head}\n{opening}" if opening else head, lines, f"{below}\n</details>")


def _rules_table(content: Content, figures: Figures, variant: str) -> Block:
    ship, policy = content.verdict.ship, content.verdict.policy
    role = "ships" if ship == variant else "must ship" if policy == variant else "nearest"
    role = "ships once reviewed" if content.verdict.review.ships == variant else role
    head = _row("", BASELINE, f"**{markdown(elided(variant, _NAME))}** ({role})", "change", "budget", "")
    reasons: set[str] = set()
    worst_first = sorted(content.verdict.of(variant), key=_rank)
    lines = [_row(*_rule_cells(content, figures, rule, reasons)) for rule in worst_first]
    return Block("the rules", f"{head}\n|---|--:|--:|---|---|:-:|", lines)


def _rank(rule: RuleVerdict) -> int:
    """What holds a variant up comes first, then what would if it were not waived; the rest as declared."""
    if rule.blocks:
        return 0 if rule.verdict == "fail" else 1
    return 2 if rule.waiver is not None else 3


def _rule_cells(content: Content, figures: Figures, rule: RuleVerdict, reasons: set[str]) -> list[str]:
    """`reasons` are those told in rows above."""
    broken = rule.verdict == "fail"
    name = markdown(subject(rule))
    if rule.limit is None:
        return [f"**{name}**" if broken else name, "", "", "", markdown(rule.limit_text), _mark(rule)]
    of = Measurand(rule.metric, slice=rule.slice)
    base = cell(figures, of, BASELINE, rule.device, beside=rule.variant)
    own = cell(figures, of, rule.variant, rule.device)
    before, after = markdown(base.value), _beside(figures, rule, own)
    dropped = rule.limits is not None and rule.limits.comparison == "drop"
    detail = own.change_detail if dropped else own.detail
    of_class = next((each for each in content.classes.get(rule.variant, ()) if each.name == detail), None)
    if of_class is not None and dropped:
        # the class that dropped most, which need not be the least accurate one
        before, after = markdown(show(of_class.baseline, FRACTION)), show(of_class.variant, FRACTION)
    elif dropped and detail:
        # the figures of the classes are not at hand, and what is may be of another class
        before = before if base.detail == detail else ""
        after = after if not after or own.detail == detail else "–"
    if dropped and not detail and after and METRICS[rule.metric].falling:
        before, after = "", "none fell"
    name += f" ({_class(detail)})" if detail else ""
    before += f" ({_class(base.detail)})" if before and not dropped and base.detail not in ("", detail) else ""
    change = _change(figures, rule, own)
    change += f" ({_class(own.change_detail)} fell most)" if change and own.change_detail not in ("", detail) else ""
    lacking = "not measured"
    if not after and not rule.blocks:  # why a rule blocks is told below
        lacking += ", as above" if own.reason in reasons else f": {_reason(own.reason)}"
        reasons.add(own.reason)
    return [
        f"**{name}**" if broken else name,
        before if before else "–",
        markdown(after) if after else lacking,
        f"**{change}**" if broken and change else change,
        markdown(rule.limit_text),
        _mark(rule),
    ]


def _beside(figures: Figures, rule: RuleVerdict, own: Cell) -> str:
    """The figure as it stands in one row with the limit."""
    figure = figures.get(own.of, rule.variant, rule.device)
    if figure is None or rule.limits is None or rule.limits.comparison is not None:
        return own.value
    return written(figure, rule.limit) if own.value else ""


def _class(name: str) -> str:
    return markdown(elided(name, _NAME))


def _mark(rule: RuleVerdict) -> str:
    if rule.waiver is not None:
        return f"{side(rule) if rule.verdict == 'fail' else WORDS[rule.verdict]}, **waived**"
    if rule.verdict == "fail" and rule.level == "error":
        return f"**{side(rule)}**"
    return _MARKS[rule.verdict] if rule.level == "error" or rule.verdict == "pass" else mark(rule)


def _change(figures: Figures, rule: RuleVerdict, own: Cell) -> str:
    """Against what the rule compares with: the merge base where it limits growth, else the baseline."""
    comparison = None if rule.limits is None else rule.limits.comparison
    if comparison != "regression":
        limit = rule.limit if comparison == "drop" else None
        change = figures.change(own.of, rule.variant, rule.device, limit)
        return "" if change is None else markdown(change.words)
    grown = figures.growth(own.of, rule.variant, rule.device, rule.limit)
    if grown is not None:
        return f"{markdown(grown.words)} since the merge base"
    reason = figures.reason(own.of.compared("regression"), rule.variant, rule.device)
    return "" if reason in (NOT_RECORDED, own.reason) else f"not measured: {_reason(reason)}"


def _sentence(rule: RuleVerdict) -> str:
    return markdown_prose(prose.sentence(rule.sentence))


def _all_variants(content: Content, figures: Figures) -> Block:
    table = rows(content, figures)
    several = any(row.runtime for row in table)
    head = ["", "variant", *(["recipe", "runtime"] if several else []), "size", heading(figures)]
    head += [f"{title(LATENCY)}, {markdown(elided(device, _NAME))}" for device in figures.devices]
    words = 4 if several else 2
    opening = "\n".join([_row(*head, "verdict"), _row(*["---"] * words, *["--:"] * (len(head) - words), "---")])
    lines = [
        _row(
            " ".join(mark for mark, given in (("★", row.ships), ("◆", row.on_front)) if given),
            f"**{markdown(row.variant)}**" if row.ships else markdown(row.variant),
            *([markdown(row.recipe), markdown(row.runtime)] if several else []),
            *(_cell(each, reason) for each, reason in row.cells),
            markdown(row.verdict),
        )
        for row in table
    ]
    chart = _chart(figures)
    legend = f"★ ships · ◆ on the Pareto front: nothing beats it in {heading(figures)} and in size or latency at once"
    said = from_words(each for row in table for each in row.latencies)
    legend += f" · {markdown(said)}" if said else ""
    below = "\n".join(["", legend, *([chart] if chart else []), ""])
    return _folded("all variants", f"All variants ({len(table) - 1})", opening, lines, below)


def _wholes(figures: Figures) -> Iterator[Block]:
    listed = wholes.rows(figures)
    if not listed:
        return
    head = ["variant", "device", "end to end, p50", *wholes.HEADS, "answers as the baseline's"]
    opening = f"{_row(*head)}\n|---|---|--:|--:|--:|--:|--:|"
    lines = [
        _row(
            markdown(row.variant),
            markdown(elided(row.device, _NAME)),
            _cell(row.whole, row.whole.reason),
            *(row.percents or ("",) * len(wholes.HEADS)),
            row.same,
        )
        for row in listed
    ]
    below = _below(row.whole for row in listed)
    yield _folded("what is end to end", "From end to end: what each part takes of the whole", opening, lines, below)


def _throughputs(figures: Figures) -> Iterator[Block]:
    for matrix in throughput.matrices(figures):
        head = ["variant", "threads", *(f"batch {batch}" for batch in matrix.batches)]
        opening = f"{_row(*head)}\n|---|--:|{'--:|' * len(matrix.batches)}"
        listed = throughput.rows(figures, matrix, figures.models)
        lines = [
            _row(
                markdown(row.variant),
                str(row.threads),
                *("–" if each is None else _cell(each, "") for each in row.cells),
            )
            for row in listed
        ]
        summary = f"Throughput over batch sizes and threads on {markdown(elided(matrix.device, _NAME))}"
        below = _below(each for row in listed for each in row.cells if each is not None)
        yield _folded("throughput", summary, opening, lines, below)


def _memory(figures: Figures) -> Iterator[Block]:
    listed = phases.rows(figures)
    if not listed:
        return
    head = ["variant", "device", *phases.HEADS.values(), "allocation"]
    opening = f"{_row(*head)}\n|---|---|{'--:|' * len(phases.HEADS)}---|"
    lines = [
        _row(
            markdown(row.variant),
            markdown(elided(row.device, _NAME)),
            *(markdown(each.value) for each in row.cells),
            markdown(row.allocation),
        )
        for row in listed
    ]
    yield _folded("memory by phase", "Memory by phase, over the runtime's import", opening, lines)


def _below(cells: Iterable[Cell]) -> str:
    said = from_words(cells)
    return f"\n{markdown(said)}\n" if said else ""


def _cell(shown: Cell, reason: str) -> str:
    if not shown.value:
        return f"not measured: {_reason(reason)}" if reason else "not measured"
    return markdown(shown.figure) + (f"<br>{markdown(shown.change.words)}" if shown.change is not None else "")


def _reason(reason: str) -> str:
    return markdown_prose(elided(reason, 160))


def _chart(figures: Figures) -> str:
    cost, device = costs(figures)[:2][-1]
    quality = figures.quality
    points = [
        (name, x, y)
        for name in figures.models
        if (x := figures.place(cost, name, device)) is not None and (y := figures.value(quality, name)) is not None
    ]
    if not points:
        return ""
    xs, ys = [x for _, x, _ in points], [y for _, _, y in points]
    chart = quadrant(
        f"{heading(figures)} against {title(cost, device)}",
        points,
        (show(min(xs), dimension(cost)), f"{title(cost)} {show(max(xs), dimension(cost))}"),
        (show(min(ys), dimension(quality)), f"{heading(figures)} {show(max(ys), dimension(quality))}"),
    )
    return f"\n```mermaid\n{chart}\n```" if chart else ""


def _method(content: Content, figures: Figures) -> Block:
    lines = []
    for device in figures.devices:
        known = measuring.line(content, figures, device)
        if known:
            lines.append(f"- {markdown_code(device)}: {markdown(known)}")
    lines += [
        f"- not measured: {markdown(elided(', '.join(what), 200))}: {markdown_prose(elided(reason, 300))}"
        for reason, what in figures.unavailable()
    ]
    provenance = content.verdict.provenance
    lines += [f"- {markdown(name)}: {markdown_code(elided(value, 200))}" for name, value in inputs(provenance)]
    if provenance:
        lines.append("- the hashes of all models and raw samples are in `reports/verdict.json`")
    return _folded("how it was measured", "How it was measured", "", lines)


def _every_rule(content: Content) -> Block:
    order: dict[Outcome, int] = {"fail": 0, "inconclusive": 1, "pass": 2, "not_applicable": 3}
    rules = sorted(content.verdict.rules, key=lambda rule: order[rule.verdict])
    lines = [
        _row(
            markdown(rule.variant),
            markdown(rule.rule),
            f"**{mark(rule)}**" if rule.waiver is not None else mark(rule),
            _sentence(rule)
            + (f" {markdown_prose(prose.sentence(rule.waiver))}" if rule.waiver is not None else "")
            + (f" To settle it: {markdown_code(rule.settle)}" if rule.settle else ""),
        )
        for rule in rules
    ]
    head = f"{_row('variant', 'rule', '', 'why')}\n|---|---|---|---|"
    return _folded("every rule", f"Every rule on every variant ({len(rules)})", head, lines)


def _footer(content: Content) -> str:
    version = next((value for key, value in flat(content.verdict.provenance) if key == "makeweight"), "")
    parts = [elided(f"makeweight {version}", _NAME), *(elided(each, 200) for each in content.remarks)]
    links = [markdown_link(elided(label, _NAME), url) for label, url in content.links.items()]
    return " · ".join([*map(markdown, parts), *(links or [markdown(content.html)])])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
