"""The search itself: recipes are proposed, carried out, measured and judged until one fits the budget or what may be
spent is spent. All that has ended is in the journal; what was under way when a search was killed is taken up again."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from makeweight import measurement
from makeweight.artifact import artifact
from makeweight.bench.probe import JobFailed
from makeweight.compress.recipe import Variant
from makeweight.decide import Terms
from makeweight.devices.device import DeviceFailed, GivenUp
from makeweight.measurement import Measurement
from makeweight.project.open_recipes import first_reason
from makeweight.search import judging
from makeweight.search.executor import GOES_ON, Done, Executor, Job
from makeweight.search.halving import by_rung
from makeweight.search.measuring import Measured, Measuring, unmeasurable
from makeweight.search.proposals import Known, Proposal, Proposals, Settings
from makeweight.search.trial import Ended, Journal, Trial, name_of
from makeweight_base.errors import ConfigError, EnvironmentFailed, UsageError

Why = Literal["met", "trials", "hours", "space"]
"""Why a search ended: a trial keeps clear of every limit, as many as asked for were tried, the time is over, or the
space holds nothing more."""

# Seconds between looks at what has ended, where two kinds of things may.
_LOOK = 0.2
# This part of all trials are recipes that train nothing, where there are such, and then as many that leave no step out.
_FIRST = 3
_ATTEMPTS = 3
"""How often a job is begun whose worker is lost, wherever that is, and a measurement whose process is killed. What a
training had reached is taken up again."""
_DEATHS = 2
"""After so many attempts at a trial in which the search itself was killed, that is the trial's fault."""
_FORMS = 5
"""So many recipes that were given up for their untrained form, which takes seconds, count as one trial."""


@dataclass(frozen=True)
class Limits:
    """What a search may spend, and when it has enough."""

    trials: int
    until: float
    """By `time.monotonic`: nothing is begun later."""
    margin: float


@dataclass
class _UnderWay:
    proposal: Proposal
    attempts: int = 0
    """How often the job that is under way was begun, or its measurement."""
    seconds: float = 0.0
    result: Mapping[str, Any] = field(default_factory=dict)
    """Of the job before."""
    measuring: Future[Measured] | None = None

    def figures(self, timed: Sequence[Measurement]) -> tuple[Measurement, ...]:
        """Those of the job before, and what was timed of what it made."""
        return (*map(measurement.of, self.result.get("figures", ())), *timed)


class Search:
    """One search over a project's space."""

    def __init__(
        self,
        terms: Terms,
        proposals: Proposals,
        checked: Callable[[Settings], Variant],
        executor: Executor,
        measuring: Measuring,
        journal: Journal,
        shared: Job,
        limits: Limits,
        judged_by: Callable[[Variant], Hashable | None],
    ) -> None:
        """Args:
        checked: raises ConfigError for a recipe that makes no sense in this project.
        shared: what every job is told; see `work.carry_out`.
        judged_by: see `halving.yardstick`.
        """
        self._terms, self._proposals, self._checked = terms, proposals, checked
        self._executor, self._measuring, self._journal = executor, measuring, journal
        self._shared, self._limits, self._judged_by = shared, limits, judged_by
        self._begun, self.ended = journal.begun(), journal.ended()
        self._waiting = [number for number in self._begun if number not in self.ended]
        deaths = {number: journal.attempts(number) for number in self._waiting if executor.shares_machine}
        self._deaths = {number: count for number, count in deaths.items() if count}
        """Of trials that were under way when a search was killed, how often that was."""
        self._fatal: list[Trial] = []
        """Those of them that were given up, and are not told yet."""
        self._told: dict[int, Known] = {}
        """Of trials that have ended, what the sampler is told."""
        self._under_way: dict[int, _UnderWay] = {}
        self._variants: dict[str, Variant | None] = {}
        self._gave_up = False
        """Whether what was measured last did not end in time."""
        self.why: Why = "trials"
        self.objection = ""
        """What is wrong with the first recipe that was proposed and makes no sense in this project."""

    @property
    def trials(self) -> list[Trial]:
        """Those that have ended, by their numbers."""
        return [self.ended[number] for number in sorted(self.ended)]

    @property
    def spent(self) -> float:
        """How many trials those that have ended count as."""
        return sum(map(_parts, self.ended.values())) / _FORMS

    @property
    def refused(self) -> int:
        """How many recipes were proposed that make no sense in this project."""
        return sum(variant is None for variant in self._variants.values())

    def begin(self) -> None:
        """Have the first trials carried out already, if any are needed: `run` goes on from there."""
        for number in [number for number, count in self._deaths.items() if count >= _DEATHS]:
            self._waiting.remove(number)
            self._under_way[number] = _UnderWay(self._begun[number])
            times = self._deaths.pop(number)
            reason = (
                f"the search itself was killed each of the {times} times that this was tried, as for want of memory"
            )
            self._fatal.append(self._end(number, "failed", reason))
        if not self._met(self.trials):
            self._fill()

    def run(self) -> Iterator[Trial]:
        """Each trial as it ends.

        Raises:
            EnvironmentFailed: the machine, the cluster or a device failed; all that has ended is kept.
            UsageError: no trial can be carried out, whatever the recipe.
        """
        if not self._under_way:
            self.begin()
        yield from self._fatal
        met = self._met(self.trials)
        while not met:
            self._fill()
            if not self._under_way:
                return
            for trial in self._look():
                met = met or self._met([trial])
                yield trial
        self.why = "met"  # what is under way is left for another time

    def leave(self) -> None:
        """Note that what is under way is left in order, for another time."""
        for number in self._under_way:
            with contextlib.suppress(EnvironmentFailed):  # a full disk is why the search ends, and told already
                self._give_back(number)

    def _give_back(self, number: int) -> None:
        self._journal.attempt(number, self._deaths.get(number, 0))

    def _fill(self) -> None:
        """As many trials under way as are carried out at once: those that were cut off, then new ones."""
        while len(self._under_way) < self._executor.slots:
            number = self._next()
            if number is None:
                return
            self._under_way[number] = _UnderWay(self._begun[number])
            if self._executor.shares_machine:
                self._journal.attempt(number, self._deaths.get(number, 0) + 1)
            self._submit(number, form=not self._journal.trains(number))

    def _met(self, trials: Sequence[Trial]) -> bool:
        return judging.met(self._terms, trials, self._limits.margin)

    def _next(self) -> int | None:
        """The number of a trial to begin, of those that were cut off first; None: there is none."""
        if self._taken() >= self._limits.trials:
            self.why = "trials"
            return None
        if self.why == "space":  # to find that out takes hundreds of recipes, and nothing changes it
            return None
        if time.monotonic() >= self._limits.until:
            self.why = "hours"
            return None
        # with what may have killed a search before nothing else is under way, which would seem to have done it as well
        suspects = {*self._under_way, *self._waiting[:1]} & self._deaths.keys()
        if suspects and self._under_way:
            return None
        return self._waiting.pop(0) if self._waiting else self._proposed()

    def _taken(self) -> int:
        """How many trials are spent, and will be by what is under way: at least as many as are carried through."""
        return int(self.spent) + len(self._under_way)

    def _proposed(self) -> int | None:
        """The number of a new trial; None: there is none."""
        number = len(self._begun)
        known = [self._known(earlier) for earlier in sorted(self._begun)]
        objectives = len(judging.objectives(self._terms))
        tried = {self._key(proposal.settings) for proposal in self._begun.values()}

        def refuse(settings: Settings) -> bool:
            return (key := self._key(settings)) is None or key in tried

        def refuse_training(settings: Settings) -> bool:
            variant = self._variant(settings)
            return refuse(settings) or variant is None or bool(variant.plan.trainings)

        proposal = None
        first, taken = self._limits.trials // _FIRST, self._taken()
        if taken < first:
            proposal = self._proposals.next(known, objectives, refuse_training)
        if proposal is None:
            proposal = self._proposals.next(known, objectives, refuse, whole=first <= taken < 2 * first)
        if proposal is None:
            self.why = "space"
            return None
        self._journal.begin(number, proposal)
        self._begun[number] = proposal
        return number

    def _known(self, number: int) -> Known:
        trial = self.ended.get(number)
        if trial is None:
            return Known(self._begun[number], None)
        if number not in self._told:
            short = judging.shortfalls(self._terms, trial)
            self._told[number] = Known(trial.proposal, judging.costs(self._terms, trial), short)
        return self._told[number]

    def _variant(self, settings: Settings) -> Variant | None:
        """The recipe, checked; None: it makes no sense here."""
        written = json.dumps(settings, sort_keys=True)
        if written not in self._variants:
            try:
                self._variants[written] = self._checked(settings)
            except ConfigError as error:
                self._variants[written] = None
                self.objection = self.objection or first_reason(error)
        return self._variants[written]

    def _key(self, settings: Settings) -> str | None:
        """By which a recipe is known again, however much of it is written out; None: it makes no sense here."""
        variant = self._variant(settings)
        return None if variant is None else json.dumps([variant.runtime, variant.recipe], sort_keys=True)

    def _submit(self, number: int, *, form: bool) -> None:
        self._under_way[number].attempts = 1
        self._executor.submit(
            {
                **self._shared,
                "name": name_of(number),
                "number": number,
                "folder": str(self._journal.at(number)),
                "settings": dict(self._begun[number].settings),
                "form": form,
                "rungs": by_rung(trial.rungs for trial in self._alike(number)),
            }
        )

    def _alike(self, number: int) -> list[Trial]:
        """The trials whose trainings are held against those of that one."""

        def told(settings: Settings) -> Hashable | None:
            variant = self._variant(settings)
            return None if variant is None else self._judged_by(variant)

        own = told(self._begun[number].settings)
        if own is None:
            return []
        return [trial for trial in self.trials if trial.rungs and told(trial.proposal.settings) == own]

    def _look(self) -> Iterator[Trial]:
        """What has ended since the last look."""
        measuring = {each.measuring: n for n, each in self._under_way.items() if each.measuring is not None}
        if len(measuring) < len(self._under_way):
            for done in self._executor.wait(_LOOK if measuring else 1.0):
                yield from self._came(done)
            ready = [future for future in measuring if future.done()]
        else:
            ready = list(concurrent.futures.wait(measuring, 1.0, concurrent.futures.FIRST_COMPLETED).done)
        for future in ready:
            yield from self._was_measured(measuring[future], future)

    def _came(self, done: Done) -> Iterator[Trial]:
        number = done.job["number"]
        own = self._under_way[number]
        result: Mapping[str, Any] = {"lost": done.lost} if done.result is None else done.result
        own.seconds += result.get("seconds", 0.0)
        if "lost" in result:
            if own.attempts < _ATTEMPTS:
                own.attempts += 1
                self._executor.submit(done.job)
            else:
                yield self._end(number, "failed", f"{result['lost']} ({own.attempts} times)")
            return
        if "failure" in result:
            raise EnvironmentFailed(result["failure"], do=f"Mend that. {GOES_ON}")
        if "mistake" in result:
            what, do = result["mistake"]
            raise UsageError(what, do=do)
        own.result = result
        if "ended" in result:
            yield self._end(number, result["ended"], result["reason"], again=result.get("again", False))
            return
        if result["trains"] and (reason := self._hopeless(number, ())) is not None:
            yield self._end(number, "form", reason)
            return
        own.attempts = 0
        self._measure(number)

    def _measure(self, number: int) -> None:
        own = self._under_way[number]
        own.attempts += 1
        own.measuring = self._measuring.submit(artifact.read(Path(own.result["manifest"])), name_of(number))

    def _was_measured(self, number: int, future: Future[Measured]) -> Iterator[Trial]:
        own = self._under_way[number]
        own.measuring = None
        try:
            measured = future.result()
        except DeviceFailed as failure:
            before, self._gave_up = self._gave_up, isinstance(failure, GivenUp)
            killed = isinstance(failure, JobFailed) and failure.killed
            if killed and own.attempts < _ATTEMPTS:
                self._measure(number)
                return
            told = unmeasurable(failure)
            # where two models in a row do not end it is hardly theirs, and each takes half an hour
            if told is not None and not (before and self._gave_up):
                why, again = told
                yield self._end(number, "failed", f"{why} ({own.attempts} times)" if killed else why, again=again)
                return
            do = f"{failure.do} {GOES_ON}" if failure.do else GOES_ON
            raise EnvironmentFailed(failure.what, where=failure.where, do=do) from failure
        self._gave_up = False
        timed = measured.figures
        own.seconds += measured.seconds
        if not own.result["trains"]:
            yield self._end(number, "whole", None, timed)
        elif (reason := self._hopeless(number, timed)) is not None:
            yield self._end(number, "form", reason, timed)
        else:
            self._journal.keep_form(number, own.figures(timed))
            self._submit(number, form=False)

    def _hopeless(self, number: int, timed: Sequence[Measurement]) -> str | None:
        rule = judging.hopeless(self._terms, name_of(number), self._under_way[number].figures(timed))
        return (
            None
            if rule is None
            else f"not trained, for its form breaks a rule already: {rule.sentence.removesuffix('.')}"
        )

    def _end(
        self,
        number: int,
        ended: Ended,
        reason: str | None,
        timed: Sequence[Measurement] = (),
        *,
        again: bool = False,
    ) -> Trial:
        """Args:
        again: whether the next run may find mended what it failed at: to that one it is begun and no more.
        """
        own = self._under_way.pop(number)
        figures = self._journal.form(number) if ended == "stopped" else own.figures(timed)
        rungs = {int(rung): figure for rung, figure in own.result.get("rungs", {}).items()}
        trial = Trial(number, own.proposal, ended, reason, figures, rungs, own.seconds)
        if again:
            self._give_back(number)
        else:
            self._journal.end(trial)
        self.ended[number] = trial
        return trial


def _parts(trial: Trial) -> int:
    """What it counts, in parts of which a whole trial has `_FORMS`."""
    return 1 if trial.ended == "form" else _FORMS
