"""Serving by a pointer: what is whole takes over, what is not never takes anything down."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from makeweight_base.errors import UsageError
from makeweight_monitors.serving import Breaker, Serving
from makeweight_monitors.serving import pointer as pointers
from makeweight_monitors.serving import serving as module
from makeweight_monitors.serving.pointer import Pointer, Served


def model(home: Path, name: str, content: bytes, revision: str, weight: float = 1.0) -> Served:
    """A model's folder beside the pointer: two files, so that the hash is over both."""
    folder = home / "models" / name
    folder.mkdir(parents=True)
    files = {"model.txt": content, "weights.bin": b"weights"}
    for file, held in files.items():
        (folder / file).write_bytes(held)
    hashes = {file: hashlib.sha256(held).hexdigest() for file, held in files.items()}
    sha256 = hashlib.sha256("".join(f"{one}  {file}\n" for file, one in hashes.items()).encode()).hexdigest()
    manifest = {
        "variant": name,
        "status": "ready",
        "runtime": "text",
        "recipe": [],
        "weights": "int8",
        "sha256": sha256,
        "size": 1,
        "model": {"files": [{"name": file, "size": 1, "sha256": one} for file, one in hashes.items()]},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return Served("digits", name, revision, sha256, f"models/{name}", weight, 1)


class Loader:
    """Opens a model as its text; counts how often."""

    def __init__(self) -> None:
        self.loaded: Counter[str] = Counter()

    def __call__(self, path: Path) -> str:
        text = path.read_text()
        if text == "unloadable":
            raise RuntimeError("no such operator")
        self.loaded[text] += 1
        return text


class Case:
    def __init__(self, home: Path) -> None:
        self.home, self.path = home, home / "current.json"
        self.registry, self.load = CollectorRegistry(), Loader()
        self.stable = model(home, "baseline", b"old", "r1")
        self.canary = model(home, "int8", b"new", "r2", 0.25)
        pointers.write(self.path, Pointer(self.stable))
        observe = {"classes": ["no", "yes"], "scores": "probability"}
        self.serving = Serving(self.path, self.load, observe=observe, every=None, registry=self.registry)

    def point(self, change: Any) -> bool:
        """Write the pointer anew; whether the server followed."""
        pointers.write(self.path, change(pointers.load(self.path)))
        return self.serving.follow()

    def value(self, name: str, **labels: str) -> float:
        return sum(
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_a_rollout_from_trial_to_promotion(case: Case) -> None:
    assert case.serving.arm().model == "old"
    assert case.point(lambda now: now.on_trial(case.canary))
    assert {arm.model for arm in (case.serving.arm(str(n)) for n in range(100))} == {"old", "new"}
    assert case.point(lambda now: now.at_weight(1.0))
    assert {case.serving.arm(str(n)).model for n in range(100)} == {"new"}
    assert case.point(lambda now: now.promoted())
    assert (case.serving.stable.model, case.serving.canary) == ("new", None)
    assert case.load.loaded == {"old": 1, "new": 1}
    assert not case.serving.follow()
    assert case.value("makeweight_serving_epoch") == 4


def test_a_rollback_loads_nothing_and_a_request_keeps_its_arm(case: Case) -> None:
    case.point(lambda now: now.on_trial(case.canary))
    held = case.serving.canary
    assert held is not None
    assert case.point(lambda now: now.rolled_back())
    assert {case.serving.arm().model for _ in range(100)} == {"old"}
    assert held.answer(lambda _: [0.1, 0.9]) == [0.1, 0.9]
    assert case.load.loaded == {"old": 1, "new": 1}


def test_keys_keep_their_arm_and_the_share_is_the_weight(case: Case) -> None:
    """Of 4000 keys at 25 %, 1000 on average, with a standard deviation of 27."""
    keys = [str(number) for number in range(4000)]
    case.point(lambda now: now.on_trial(case.canary))
    quarter = {key for key in keys if case.serving.arm(key).name == "canary"}
    assert 1000 - 110 < len(quarter) < 1000 + 110
    case.point(lambda now: now.at_weight(0.5))
    assert quarter <= {key for key in keys if case.serving.arm(key).name == "canary"}


@pytest.mark.parametrize("lot", [None, b"\xff", "\ud800"], ids=["by-lot", "bytes", "no-unicode"])
def test_any_key_has_an_arm(case: Case, lot: Any) -> None:
    assert case.serving.arm(lot).name == "stable"
    case.point(lambda now: now.on_trial(replace(case.canary, weight=1.0)))
    assert case.serving.arm(lot).name == "canary"


def damage(case: Case) -> None:
    (case.home / "models/int8/weights.bin").write_bytes(b"rotten")


def remove(case: Case) -> None:
    (case.home / "models/int8/model.txt").unlink()


def no_manifest(case: Case) -> None:
    (case.home / "models/int8/manifest.json").write_text("{")


@pytest.mark.parametrize("harm", [damage, remove, no_manifest])
@pytest.mark.parametrize("arm", ["canary", "stable"])
def test_a_model_that_is_not_the_named_one_is_told_and_what_served_stays(
    case: Case, harm: Any, arm: str, caplog: pytest.LogCaptureFixture
) -> None:
    harm(case)
    as_stable = replace(case.canary, weight=1.0)
    case.point(lambda now: now.on_trial(case.canary) if arm == "canary" else replace(now, stable=as_stable))
    assert {case.serving.arm().model for _ in range(50)} == {"old"}
    assert case.value("makeweight_serving_refused_total", reason="damaged") == 1
    assert "what served goes on to serve" in caplog.text
    assert case.serving.trouble is not None
    assert case.point(lambda now: replace(now, stable=case.stable, canary=None))
    assert case.serving.trouble is None


def test_a_model_that_does_not_load_is_tried_again(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = model(case.home, "broken", b"unloadable", "r3", 0.5)
    case.point(lambda now: now.on_trial(case.canary))
    case.point(lambda now: now.on_trial(broken))
    assert case.serving.canary is None, "the canary of before is not what the pointer says"
    assert "no such operator" in (case.serving.trouble or "")
    assert not case.serving.follow()
    monkeypatch.setattr(module, "_PATIENCE", -1.0)
    monkeypatch.setattr(case.serving, "_load", lambda _: "mended")
    assert case.serving.follow()
    assert (case.serving.canary and case.serving.canary.model, case.serving.trouble) == ("mended", None)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", None], ids=["empty", "keyless", "bytes", "gone"])
def test_a_pointer_that_is_none_changes_nothing(case: Case, content: bytes | None) -> None:
    case.point(lambda now: now.on_trial(case.canary))
    if content is None:
        case.path.unlink()
    else:
        case.path.write_bytes(content)
    assert not case.serving.follow()
    assert case.serving.canary is not None
    assert case.value("makeweight_serving_refused_total", reason="pointer") == 1


def test_a_broken_stable_stops_the_start_and_a_broken_canary_does_not(case: Case) -> None:
    damage(case)
    pointers.write(case.path, pointers.load(case.path).on_trial(case.canary))
    started = Serving(case.path, case.load, every=None, registry=CollectorRegistry())
    assert (started.stable.model, started.canary) == ("old", None)
    os.truncate(case.home / "models/baseline/model.txt", 1)
    with pytest.raises(UsageError, match="not the one that the pointer names"):
        Serving(case.path, case.load, every=None, registry=CollectorRegistry())


def test_a_canary_that_raises_is_cut_off_within_50_requests_and_told(case: Case) -> None:
    case.point(lambda now: now.on_trial(case.canary))

    def call(text: str) -> list[float]:
        if text == "new":
            raise ValueError("shape")
        return [0.9, 0.1]

    failed = 0
    for number in range(2000):
        try:
            case.serving.arm(str(number)).answer(call)
        except ValueError:
            failed += 1
    assert 0 < failed <= 50
    assert case.value("makeweight_failures_total", variant="canary", reason="exception") == failed
    assert case.value("makeweight_predictions_total", variant="stable") == 2000 - failed
    assert case.value("makeweight_serving_breaker_open", variant="canary", revision="r2") == 1
    # a step of the same trial does not close it; another try does
    case.point(lambda now: now.at_weight(0.5))
    assert {case.serving.arm(str(n)).name for n in range(50)} == {"stable"}
    case.point(lambda now: now.on_trial(replace(case.canary, attempt=2, weight=0.5)))
    assert {case.serving.arm(str(n)).name for n in range(50)} == {"stable", "canary"}


def test_the_breaker_is_told_of_each_step_and_of_nothing_else(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    stepped: list[Breaker] = []
    monkeypatch.setattr(Breaker, "step", lambda breaker: stepped.append(breaker))
    case.point(lambda now: now.on_trial(case.canary))
    case.point(lambda now: now)
    assert stepped == []
    case.point(lambda now: now.at_weight(0.5))
    case.point(lambda now: now.at_weight(1.0))
    held = case.serving.canary
    assert held is not None
    assert stepped == [held.breaker] * 2
    case.point(lambda now: now.promoted())
    assert len(stepped) == 2


def test_answers_that_are_nan_cut_it_off_too(case: Case) -> None:
    case.point(lambda now: now.on_trial(case.canary))
    for number in range(500):
        arm = case.serving.arm(str(number))
        arm.record([float("nan"), 0.5] if arm.name == "canary" else [0.9, 0.1], 0.001)
    assert 0 < case.value("makeweight_failures_total", variant="canary", reason="not_finite") <= 50
    assert {case.serving.arm(str(n)).name for n in range(50)} == {"stable"}


def test_an_answer_in_which_no_scores_are_found_goes_out_all_the_same(case: Case) -> None:
    assert case.serving.arm().answer(lambda _: {"other": 1}, scores=lambda answer: answer["scores"]) == {"other": 1}
    assert case.value("makeweight_rejected_total", reason="bad_shape") == 1
    assert case.value("makeweight_predictions_total") == case.value("makeweight_failures_total") == 0


def test_both_arms_bear_the_release_on_trial(case: Case) -> None:
    case.point(lambda now: now.on_trial(case.canary))
    for number in range(40):
        case.serving.arm(str(number)).answer(lambda _: [0.1, 0.9])
    one = {"revision": "r2", "weight": "0.25", "attempt": "1"}
    counted = [case.value("makeweight_predictions_total", variant=arm, **one) for arm in ("stable", "canary")]
    assert sum(counted) == 40
    assert min(counted) > 0
    assert case.value("makeweight_epoch", variant="canary") == 2


def told(case: Case, name: str) -> set[tuple[str, str]]:
    """The arms of which a series is collected, by variant and revision."""
    samples = (sample for family in case.registry.collect() for sample in family.samples if sample.name == name)
    return {(sample.labels["variant"], sample.labels["revision"]) for sample in samples}


def test_of_an_arm_that_left_nothing_is_told_but_what_it_counted(case: Case) -> None:
    """Else it would be held against the share that it once had, and its breaker would call somebody, for ever."""
    started, share = "makeweight_observer_start_time_seconds", "makeweight_declared_share"
    case.point(lambda now: now.on_trial(case.canary))
    both = {("stable", "r2"), ("canary", "r2")}
    assert told(case, started) == told(case, share) == told(case, "makeweight_build_info") == both
    for number in range(200):
        case.serving.arm(str(number)).record([float("nan"), 0.5], 0.001)
    assert told(case, "makeweight_serving_breaker_open") == {("canary", "r2")}
    case.point(lambda now: now.at_weight(0.5))
    assert told(case, started) == told(case, share) == both
    case.point(lambda now: now.rolled_back())
    for name in (started, "makeweight_build_info", "makeweight_epoch"):
        assert told(case, name) == {("stable", "r1")}
    assert told(case, share) == told(case, "makeweight_serving_breaker_open") == set()
    assert case.value("makeweight_failures_total", variant="canary", revision="r2") > 0
    case.point(lambda now: now.on_trial(replace(case.canary, weight=1.0)))
    assert told(case, started) == both
    assert told(case, share) == set()


def test_a_thread_follows_by_itself(case: Case) -> None:
    serving = Serving(case.path, case.load, every=0.001, registry=CollectorRegistry())
    pointers.write(case.path, pointers.load(case.path).on_trial(case.canary))
    for _ in range(6000):
        if serving.canary is not None:
            break
        serving._stopped.wait(0.01)
    serving.close()
    assert serving.canary is not None
