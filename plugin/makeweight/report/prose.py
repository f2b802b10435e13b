"""What there is to say about a verdict, as sentences with names in backticks; each form of the report sets them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.decide.verdict import Review, RuleVerdict
from makeweight.report.comparison import LATENCY, SIZE, heading
from makeweight.report.content import Content, Flips
from makeweight.report.figures import Figures
from makeweight.report.standing import HEADLINES, blocking, leading, subject, waived
from makeweight.report.text import elided, plain
from makeweight.report.written import title, written, written_interval

_NAME = 80
_SENTENCE = 600
_NOTICE = 2000


def headline(content: Content, figures: Figures) -> str:
    """The whole in a line, after the word that says it: `slim-int8` breaks 1 of 7 rules."""
    verdict = content.verdict
    variant = leading(verdict)
    if variant is None:
        return "No variant is declared"
    judged = [rule for rule in verdict.of(variant) if rule.verdict != "not_applicable" and rule.level == "error"]
    let_through = len(waived(verdict, variant))
    if verdict.ship is not None:
        gained = ", ".join(gains(figures, variant))
        with_waivers = f" with {let_through} of {_rules(len(judged))} waived" if let_through else ""
        without = unlimited(content, figures, variant)
        but = f"; the budget has no rule on {listed(without)}" if without else ""
        return f"{code(variant)} ships{with_waivers}{': ' if gained else ''}{gained}{but}"
    held_up = blocking(verdict, variant)
    broken = sum(rule.verdict == "fail" for rule in held_up)
    still_open = len(held_up) - broken
    rules = _rules(len(judged))
    parts = [f"breaks {broken} of {rules}"] if broken else []
    parts += [f"leaves {still_open}{'' if broken else f' of {rules}'} open"] if still_open else []
    parts += [] if parts or not verdict.review.ships else ["waits for a review of what is judged"]
    does = " and ".join(parts)
    does += f"; {let_through} more {'is' if let_through == 1 else 'are'} waived" if let_through and parts else ""
    if variant in (verdict.policy, verdict.review.ships):
        return f"{code(variant)} {does}".rstrip()
    unsure = "" if verdict.verdict == "fail" else "known to "
    passes = "pass" if unsure else "passes"
    return f"No variant {'is ' if unsure else ''}{unsure}{passes} every rule; the nearest, {code(variant)}, {does}"


def _rules(count: int) -> str:
    return f"{count} rule{'' if count == 1 else 's'}"


def word(content: Content) -> str:
    """`passed`, `blocked`, `undecided`."""
    return HEADLINES[content.verdict.verdict]


def gains(figures: Figures, variant: str) -> list[str]:
    """What a variant brings: `10x smaller`, `4.7x faster on pi5`, `accuracy drop 0.3 pt`."""
    changes = []
    size = figures.change(SIZE, variant)
    if size is not None:
        changes.append("same size" if size.better is None else size.bare)
    for device in figures.devices:
        change = figures.change(LATENCY, variant, device)
        if change is not None:
            changes.append(f"{'no faster or slower' if change.better is None else change.bare} on {device}")
    quality = figures.change(figures.quality, variant)
    if quality is not None:
        changes.append(f"{heading(figures)} {quality.text}")
    return changes


def unlimited(content: Content, figures: Figures, variant: str) -> list[str]:
    """What got worse beside the baseline, without a rule on it: `accuracy, which got worse (drop 5.0 pt)`."""
    ruled = {rule.metric for rule in content.verdict.of(variant)}
    wanted: list[tuple[Measurand, str | None]] = [(SIZE, None), (figures.quality, None)]
    wanted += [(of, device) for device in figures.devices for of in (LATENCY, Measurand("peak_memory"))]
    worse = []
    for of, device in wanted:
        change = figures.change(of, variant, device)
        if of.metric not in ruled and change is not None and change.better is False:
            worse.append(f"{title(of, device)}, which got worse ({change.bare})")
    return worse


def reasons(content: Content, figures: Figures, variant: str) -> list[str]:
    """Why it was decided so, and what compression cost a variant that was trained besides."""
    return [*_decided(content, variant), *_short_of_control(figures, variant)]


def _decided(content: Content, variant: str) -> list[str]:
    """The blocking rules' sentences, or the verdict's own."""
    held_up = blocking(content.verdict, variant)
    if not held_up:
        return [sentence(content.verdict.sentence)]
    sentences = _gathered(held_up)
    flips = content.flips.get(variant)
    told = confusion(flips) if flips is not None and any(_of_answers(rule) for rule in held_up) else None
    return [*sentences, told] if told else sentences


def _short_of_control(figures: Figures, variant: str) -> list[str]:
    """How far it stays behind the baseline trained as long, where it does."""
    of = figures.quality
    held, short = (figures.get(replace(each, control=True), variant) for each in (of, of.compared("drop")))
    if held is None or held.value is None or short is None or short.value is None:
        return []
    if (short.interval or (short.value,))[0] <= 0:
        return []
    much = f"{written(short)} {written_interval(short)}".rstrip()
    return [
        f"Trained as long and not compressed, the baseline reaches {written(held)} ({heading(figures)}): "
        f"{code(variant)} is {much} short of that."
    ]


def _of_answers(rule: RuleVerdict) -> bool:
    """Whether a rule is about what the model answers: of what is declared, what is evaluated."""
    return rule.metric not in METRICS or METRICS[rule.metric].origin == "evaluate"


def _gathered(held_up: list[RuleVerdict]) -> list[str]:
    """The rules' sentences, each once; what is not measured for one reason is told in one."""
    alike: dict[str, list[RuleVerdict]] = {}
    for rule in held_up:
        if rule.reason is not None:
            alike.setdefault(rule.reason, []).append(rule)
    sentences = []
    for rule in held_up:
        names = list(dict.fromkeys(subject(each) for each in alike.get(rule.reason or "", ())))
        if len(names) > 1:
            sentences.append(sentence(f"{listed(names)} are not measured: {rule.reason}."))
        else:
            sentences.append(sentence(rule.sentence))
    return list(dict.fromkeys(sentences))


def listed(names: list[str]) -> str:
    """`a, b and c`."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def confusion(flips: Flips) -> str | None:
    """`4 of the 6 flipped examples are cat taken for dog.` None when no pair stands out, or not all are at hand."""
    if flips.total != len(flips.examples) or flips.total < 2:
        return None
    pairs = Counter((flip.truth, flip.variant) for flip in flips.examples)
    (truth, taken), count = pairs.most_common(1)[0]
    if count < 2 or count * 3 < flips.total:
        return None
    return f"{count} of the {flips.total} flipped examples are {code(truth)} taken for {code(taken)}."


def altered(content: Content) -> str:
    """The line above what is judged in another way than at the base."""
    count = len(content.verdict.review.weakening)
    return f"This change alters {'one thing' if count == 1 else f'{count} things'} that it is judged by"


def word_on_it(review: Review) -> str | None:
    """Whose word there is on what was altered, or who is asked for it; None where nobody need be."""
    if review.by is not None:
        return f"Reviewed: {review.by}."
    if not review.open:
        return None
    asked = "What was altered waits for a look: "
    if review.label:
        asked += f"somebody who may write sets the label `{review.label}`, then the job is run again. "
        return f"{asked}The next push needs the next label."
    return f"{asked}here an entry `rule: review` under `waivers:` on the base stands for it, with reason and last day."


def waivers(content: Content, variant: str) -> list[str]:
    """Each rule that was let through: what is found, until when, by whom and for what reason."""
    return [
        f"{sentence(rule.sentence)} {_ended(sentence(rule.waiver))}"
        for rule in waived(content.verdict, variant)
        if rule.waiver is not None
    ]


def notices(content: Content) -> list[str]:
    """What has to be known before anything else, each as a sentence."""
    return [_ended(sentence(notice, _NOTICE)) for notice in content.verdict.notices]


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def settling(rules: list[RuleVerdict]) -> list[str]:
    """The commands that would settle what is open."""
    return list(dict.fromkeys(rule.settle for rule in rules if rule.settle))


def sentence(text: str, most: int = _SENTENCE) -> str:
    """As the first of a paragraph, and no longer than one should be; what is written like mAP stays so."""
    line = elided(text, most)
    word = line.partition(" ")[0]
    return line if word != word.lower() else line[:1].upper() + line[1:]


def code(name: str) -> str:
    """A name in backticks, without any of its own."""
    return f"`{elided(plain(name).replace('`', chr(39)), _NAME)}`"
