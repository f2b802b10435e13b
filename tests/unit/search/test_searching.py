"""The search itself, with trials that are carried out at once: what it begins, what it passes on, how it ends."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight.bench.probe import JobFailed
from makeweight.budget.metric import METRICS
from makeweight.budget.operator import OPERATORS
from makeweight.budget.rule import Rule
from makeweight.decide import Terms
from makeweight.devices.device import DeviceFailed, Ended, GivenUp
from makeweight.measurement import Measurement
from makeweight.search import searching
from makeweight.search.executor import Done, Job
from makeweight.search.measuring import Measured
from makeweight.search.proposals import Known, Proposal
from makeweight.search.searching import Limits, Search
from makeweight.search.trial import Journal, Trial
from makeweight_base.errors import EnvironmentFailed, UsageError

TERMS = Terms("tiny", (Rule(METRICS["size"], OPERATORS["max"], 10.0),), (), {"here": 10.0})
FAILED = {"ended": "failed", "reason": "no", "seconds": 1.0, "rungs": {1: 0.5}}
MADE = {"manifest": "folder", "figures": [], "trains": False, "seconds": 1.0}


class Numbered:
    """Proposes as many recipes as there are."""

    def __init__(self, count: int) -> None:
        self._count, self.asked = count, 0
        self.whole: dict[int, bool] = {}
        """By the number of a trial, whether it was to leave no step out."""

    def next(self, known: list[Known], objectives: int, refuse: Any, *, whole: bool = False) -> Proposal | None:
        self.asked += 1
        self.whole[len(known)] = whole
        return None if len(known) >= self._count else Proposal({"runtime": "any", "steps": [len(known)]}, {})


def checked(settings: Mapping[str, Any]) -> Any:
    return SimpleNamespace(runtime="any", recipe=settings["steps"], plan=SimpleNamespace(trainings=[]))


class AtOnce:
    """Carries out one job at each look; None: its worker is lost."""

    slots = 2
    shares_machine = True

    def __init__(self, *results: Mapping[str, Any] | None) -> None:
        self._results, self.jobs, self.begun = list(results), list[Job](), list[Job]()

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self.begun.append(job)

    def wait(self, seconds: float) -> list[Done]:
        result = self._results.pop(0) if len(self._results) > 1 else self._results[0]
        return [Done(self.jobs.pop(0), result, "" if result else "its process was ended (signal SIGKILL)")]


def search(
    folder: Path,
    executor: AtOnce,
    proposals: Numbered,
    *,
    trials: int = 9,
    measured: Callable[[], Measured] | None = None,
    judged_by: Callable[[Any], Any] = lambda _: "accuracy",
    until: float = math.inf,
) -> Search:
    def submit(*_: Any) -> Future[Measured]:
        future: Future[Measured] = Future()
        try:
            future.set_result(measured() if measured is not None else Measured([], 0.0))
        except DeviceFailed as error:
            future.set_exception(error)
        return future

    return Search(
        TERMS,
        proposals,  # type: ignore[arg-type]
        checked,  # type: ignore[arg-type]
        executor,  # type: ignore[arg-type]
        SimpleNamespace(submit=submit),  # type: ignore[arg-type]
        Journal(folder),
        {},
        Limits(trials, until, 0.1),
        judged_by,
    )


def test_a_space_that_is_tried_out_is_not_asked_again_while_the_last_trials_are_under_way(tmp_path: Path) -> None:
    proposals = Numbered(2)
    own = search(tmp_path, AtOnce(FAILED), proposals, trials=3)
    assert [trial.number for trial in own.run()] == [0, 1]
    assert own.why == "space"
    # for both, and once to find that there is no third
    assert proposals.asked == 3


def test_the_second_third_of_the_trials_leave_no_step_out(tmp_path: Path) -> None:
    proposals = Numbered(9)
    assert len(list(search(tmp_path, AtOnce(FAILED), proposals).run())) == 9
    assert [number for number, whole in proposals.whole.items() if whole] == [3, 4, 5]


class TooLarge(AtOnce):
    """Every form is larger than the budget allows, but of one trial, which fails."""

    slots = 1

    def wait(self, seconds: float) -> list[Done]:
        (done,) = super().wait(seconds)
        size = asdict(Measurement("size", done.job["name"], "B", 11.0))
        return [done if done.job["number"] == 2 else replace(done, result={**MADE, "trains": True, "figures": [size]})]


def test_forms_that_are_given_up_count_as_a_fifth_of_a_trial(tmp_path: Path) -> None:
    proposals = Numbered(99)
    own = search(tmp_path, TooLarge(FAILED), proposals, trials=3)
    spent = [(trial.ended, own.spent) for trial in own.run()]
    assert spent[:4] == [("form", 0.2), ("form", 0.4), ("failed", 1.4), ("form", 1.6)]
    # one trial, and ten fifths
    assert ([ended for ended, _ in spent].count("form"), len(spent), own.spent, own.why) == (10, 11, 3.0, "trials")
    # what each third is for goes by what is spent: the second one from 1 to 2 trials
    assert [number for number, whole in proposals.whole.items() if whole] == [3, 4, 5]
    assert search(tmp_path, TooLarge(FAILED), proposals, trials=3).spent == 3.0, "as is known to the next run"


def test_fewer_trials_than_were_begun_leave_those_beyond_alone(tmp_path: Path) -> None:
    for number in range(4):
        Journal(tmp_path).begin(number, Proposal({"runtime": "any", "steps": [number]}, {}))
    executor = AtOnce(FAILED)
    own = search(tmp_path, executor, Numbered(9), trials=2)
    assert [trial.number for trial in own.run()] == [0, 1]
    assert own.why == "trials"


def test_what_was_cut_off_in_training_goes_on_training(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(2):
        journal.begin(number, Proposal({"runtime": "any", "steps": [number]}, {}))
    (journal.at(1) / "trainings").mkdir()
    executor = AtOnce(FAILED)
    assert len([*search(tmp_path, executor, Numbered(2), trials=2).run()]) == 2
    # the other one may be given up for its untrained form
    assert [job["form"] for job in executor.begun] == [True, False]


def test_what_was_cut_off_is_not_begun_either_once_the_time_is_over(tmp_path: Path) -> None:
    Journal(tmp_path).begin(0, Proposal({"runtime": "any", "steps": [0]}, {}))
    own = search(tmp_path, AtOnce(FAILED), Numbered(9), until=-math.inf)
    assert list(own.run()) == []
    assert own.why == "hours"


def test_trainings_are_held_against_those_that_are_judged_alike(tmp_path: Path) -> None:
    executor = AtOnce(FAILED)
    kinds = {0: "loss a", 1: "loss b", 2: "loss a", 3: None}
    own = search(tmp_path, executor, Numbered(4), trials=4, judged_by=lambda variant: kinds[variant.recipe[0]])
    executor.slots = 1
    assert len([*own.run()]) == 4
    assert [job["rungs"] for job in executor.begun] == [{}, {}, {1: [0.5]}, {}]


def test_a_device_that_is_lost_ends_the_search_and_loses_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching.artifact, "read", lambda _: None)

    def lost() -> Measured:
        raise DeviceFailed("it does not answer", where="device `pi5`", do="Switch it on.")

    own = search(tmp_path, AtOnce(FAILED, MADE), Numbered(9), measured=lost)
    with pytest.raises(EnvironmentFailed) as told:
        list(own.run())
    assert str(told.value) == (
        "device `pi5`: it does not answer\n  Switch it on. Run the same command again: the search goes on from here."
    )
    # that trial is no failed one: it is carried out when the search goes on
    assert list(Journal(tmp_path).ended()) == [0]
    again = search(tmp_path, AtOnce(FAILED), Numbered(3), trials=3)
    assert sorted(trial.number for trial in again.run()) == [1, 2]


def test_what_the_next_run_may_find_mended_is_tried_again_by_it(tmp_path: Path) -> None:
    unmounted = {**FAILED, "reason": "there are no data", "again": True}
    (first,) = search(tmp_path, AtOnce(unmounted), Numbered(1), trials=1).run()
    assert (first.ended, first.reason) == ("failed", "there are no data")
    executor = AtOnce(FAILED)
    (second,) = search(tmp_path, executor, Numbered(1), trials=1).run()
    assert [job["number"] for job in executor.begun] == [0]
    assert Journal(tmp_path).ended() == {0: second}


def test_a_recipe_that_kills_its_workers_or_what_these_begin_costs_its_own_trial_and_is_tried_no_more(
    tmp_path: Path,
) -> None:
    child = {"lost": "the process that tried the model out was ended (signal SIGKILL): it said nothing", "seconds": 1.0}
    executor = AtOnce(None, child, child, FAILED)
    executor.slots = 1
    first, second = search(tmp_path, executor, Numbered(2), trials=2).run()
    assert (first.ended, first.reason) == ("failed", f"{child['lost']} (3 times)")
    assert (second.number, second.reason) == (1, "no")
    assert [job["number"] for job in executor.begun] == [0, 0, 0, 1]
    # it is known to the next run
    assert Journal(tmp_path).ended() == {0: first, 1: second}


class Killed(Exception):
    """The machine is gone: nothing after this is carried out."""


class Dying(AtOnce):
    """Ends the search with the machine where a recipe of these is under way."""

    def __init__(self, *fatal: int) -> None:
        super().__init__(FAILED)
        self._fatal = fatal

    def wait(self, seconds: float) -> list[Done]:
        if any(job["number"] in self._fatal for job in self.jobs):
            raise Killed
        return super().wait(seconds)


def test_a_recipe_that_kills_the_search_itself_is_tried_twice_and_takes_no_other_with_it(tmp_path: Path) -> None:
    begun: list[list[int]] = []
    told: list[Trial] = []
    for _ in range(4):
        executor = Dying(1)
        with contextlib.suppress(Killed):
            told += search(tmp_path, executor, Numbered(3), trials=3).run()
        begun.append([job["number"] for job in executor.begun])
    # what was under way with it is tried alone then, and is no other's fault
    assert begun == [[0, 1], [0, 1], [2], []]
    assert {number: trial.reason for number, trial in Journal(tmp_path).ended().items()} == {
        0: "no",
        1: "the search itself was killed each of the 2 times that this was tried, as for want of memory",
        2: "no",
    }
    assert 1 in [trial.number for trial in told]


def test_a_search_that_ends_in_order_blames_no_trial(tmp_path: Path) -> None:
    for _ in range(3):
        own = search(tmp_path, Dying(0), Numbered(1), trials=1)
        with pytest.raises(Killed):
            list(own.run())
        own.leave()  # as after Ctrl-C
    (trial,) = search(tmp_path, AtOnce(FAILED), Numbered(1), trials=1).run()
    assert trial.reason == "no"


def test_a_cluster_outlives_a_trial_that_takes_the_search_with_it(tmp_path: Path) -> None:
    for _ in range(3):
        executor = Dying(0)
        executor.shares_machine = False
        with pytest.raises(Killed):
            list(search(tmp_path, executor, Numbered(1), trials=1).run())
        assert [job["number"] for job in executor.begun] == [0]


def test_losses_of_the_untrained_form_and_of_the_training_are_counted_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching.artifact, "read", lambda _: None)
    executor = AtOnce(None, None, {**MADE, "trains": True}, None, None, MADE)
    (trial,) = search(tmp_path, executor, Numbered(1), trials=1).run()
    assert trial.ended == "whole"
    assert [job["form"] for job in executor.begun] == [True] * 3 + [False] * 3


def test_what_is_stopped_in_training_keeps_what_is_known_of_its_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching.artifact, "read", lambda _: None)
    size, time = Measurement("size", "trial-1", "B", 5.0), Measurement("latency_p50", "trial-1", "s", 0.1)
    form = {**MADE, "trains": True, "figures": [asdict(size)]}
    stopped = {**FAILED, "ended": "stopped", "figures": []}
    own = search(tmp_path, AtOnce(form, stopped), Numbered(1), trials=1, measured=lambda: Measured([time], 0.0))
    (trial,) = own.run()
    assert (trial.ended, trial.figures) == ("stopped", (size, time))


class CutOff(AtOnce):
    """Ends the search with the machine once a trial is in training."""

    def wait(self, seconds: float) -> list[Done]:
        if not self.jobs[0]["form"]:
            raise Killed
        return super().wait(seconds)


def test_what_is_known_of_a_form_is_known_still_once_its_training_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching.artifact, "read", lambda _: None)
    size = Measurement("size", "trial-1", "B", 5.0)
    form = {**MADE, "trains": True, "figures": [asdict(size)]}
    with pytest.raises(Killed):
        list(search(tmp_path, CutOff(form), Numbered(1), trials=1).run())
    (Journal(tmp_path).at(0) / "trainings").mkdir()
    executor = AtOnce({**FAILED, "ended": "stopped", "figures": []})
    (trial,) = search(tmp_path, executor, Numbered(1), trials=1).run()
    assert [job["form"] for job in executor.begun] == [False]
    assert (trial.ended, trial.figures) == ("stopped", (size,))
    assert {path.name for path in Journal(tmp_path).at(0).iterdir()} == {"proposal.json", "trial.json"}


PI5: Any = SimpleNamespace(name="pi5", python=["python3"])


def test_a_model_that_crashes_a_device_is_one_failed_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching.artifact, "read", lambda _: None)

    def crashes() -> Measured:
        raise JobFailed(PI5, Ended(1, "no memory"))

    (trial,) = search(tmp_path, AtOnce(MADE), Numbered(1), trials=1, measured=crashes).run()
    assert (trial.ended, "cannot be measured on device `pi5`" in str(trial.reason)) == ("failed", True)


@pytest.mark.parametrize("times", [2, 3], ids=["twice", "each time"])
def test_a_measurement_whose_process_is_killed_is_begun_again_as_a_job_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr(searching.artifact, "read", lambda _: None)
    numbers = itertools.count(1)

    def killed() -> Measured:
        if next(numbers) <= times:
            raise JobFailed(PI5, Ended(-9, ""))
        return Measured([], 0.0)

    (trial,) = search(tmp_path, AtOnce(MADE), Numbered(1), trials=1, measured=killed).run()
    assert (trial.ended, str(trial.reason).endswith("signal 9: it said nothing (3 times)")) == (
        ("whole", False) if times == 2 else ("failed", True)
    )
    assert Journal(tmp_path).ended() == {0: trial}


def test_a_model_that_never_answers_is_one_failed_trial_and_two_in_a_row_end_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching.artifact, "read", lambda _: None)
    numbers = itertools.count()

    def hangs() -> Measured:
        if next(numbers) == 1:
            return Measured([], 0.0)
        raise GivenUp("it has not ended for 1840 s", where="device `pi5`", do="See `patience:`.")

    own = search(tmp_path, AtOnce(MADE), Numbered(9), trials=9, measured=hangs)
    with pytest.raises(EnvironmentFailed, match="it has not ended for 1840 s"):
        list(own.run())
    # another measurement may have had the device: the next run tries those again
    assert {number: trial.ended for number, trial in own.ended.items()} == {0: "failed", 1: "whole", 2: "failed"}
    assert list(Journal(tmp_path).ended()) == [1]


def test_what_no_recipe_can_mend_ends_the_search_before_it_has_spent_all_trials(tmp_path: Path) -> None:
    own = search(tmp_path, AtOnce({"mistake": ["other examples", "Fix its seed."]}), Numbered(9))
    with pytest.raises(UsageError, match="other examples\n  Fix its seed"):
        list(own.run())
    assert Journal(tmp_path).ended() == dict[int, Trial]()
