"""What raw times of two files answer: a verdict, or none where no time that was taken counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makeweight.artifact.files import File
from makeweight.artifact.model import Model
from makeweight.compare import telling
from makeweight.compare.answer import Answer, answer
from makeweight.compare.likeness import Likeness
from makeweight.measure.timings import EMULATED, Timings
from makeweight_probe.job import Result

MODELS = {arm: Model(Path("/models"), "onnxruntime", (File(f"{arm}.onnx", 1, "0"),), (), (), {}) for arm in "ab"}
ALIKE = Likeness({"y": 60.0}, 0, [])
HOT = {"before": {"throttling": {"events": 4}}, "after": {"throttling": {"events": 5}}}


def answered(b: float, **facts: Any) -> Answer:
    """Half of the time is allowed; the control is as fast as the baseline."""
    samples = {"wall_a": np.full((50, 3), 1e6), "wall_b": np.full((50, 3), b), "wall_control": np.full((50, 3), 1e6)}
    told = {"rounds": 50, "seconds": 0.5, "inner": 1, "apart": False, **facts}
    return answer(Timings((Result(samples, told),), {}), 0.5, 10.0)


@pytest.mark.parametrize(
    ("b", "verdict"), [(4e5, "within"), (6e5, "over"), (5e5, "inconclusive")], ids=["faster", "slower", "at the limit"]
)
def test_a_verdict_with_its_ratio(b: float, verdict: str) -> None:
    found = answered(b)
    assert (found.verdict, found.reason) == (verdict, None)
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(b / 1e6)
    assert json.loads(json.dumps(telling.plain(found, MODELS, "made up", {}, ALIKE, [])))["ratio"] == found.ratio.value


@pytest.mark.parametrize(
    ("b", "facts", "reason"),
    [
        (4e5, {"identity": {"emulated": True}}, EMULATED),
        (4e5, HOT, "the device was slowed down while it was measured: the processor was throttled 1 time"),
        (0.0, {}, "the clock is too coarse: some inferences took no measurable time"),
    ],
    ids=["emulated", "throttled", "no time"],
)
def test_no_verdict_by_times_that_do_not_count(b: float, facts: dict[str, Any], reason: str) -> None:
    """A ratio of 0.4 or of 0 lies within 0.5 for all that."""
    found = answered(b, **facts)
    assert (found.verdict, found.ratio, found.seconds_needed, found.reason) == ("inconclusive", None, None, reason)
    text = telling.text(found, MODELS, "made up", ALIKE, ["x of a.onnx is y of b.onnx"])
    assert text.splitlines() == [
        f"inconclusive: what b.onnx takes beside a.onnx is not known: {reason}",
        "  its answers beside those of a.onnx, signal to noise: `y` 60.0 dB",
        "  x of a.onnx is y of b.onnx",
    ]
    told = telling.plain(found, MODELS, "made up", {}, ALIKE, [])
    assert told.keys() == telling.plain(answered(4e5), MODELS, "made up", {}, ALIKE, []).keys()
    absent = told["ratio"], told["interval"], told["noise_floor"], told["seconds_needed"], told["b"]["latency_p50"]
    assert (told["reason"], absent) == (reason, (None,) * 5)
