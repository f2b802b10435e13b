"""Collected files: what belongs together is joined whatever its order, and every contradiction names both files."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from makeweight import measurement
from makeweight.budget.measurand import Measurand
from makeweight.decide import decide
from makeweight.evidence import collection
from makeweight.measurement import Measurement, keyed, unavailable
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight.publish import terms
from makeweight_base.errors import UsageError

CONFIG = """\
model: {onnx: model.onnx}
data: {npz: {test: test.npz}}
variants: {half: {steps: [float16]}, int8: {steps: [{quantize: {method: dynamic}}]}}
devices: {pi5: {kind: local}, pixel: {kind: local}}
budget: {size: {max: 1 MB}, latency_p50: {max_ratio: 0.7, device: pi5}}
"""
Listed = list[Measurement]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return understand(CONFIG, "makeweight.yaml", tmp_path)


def evaluated(name: str, size: float, accuracy: float, key: str) -> Listed:
    """As `evaluate` leaves it, beside a baseline of 1000 B that is right in 90 % of the cases."""
    own = [
        Measurement("size", name, "B", size),
        Measurement("accuracy", name, "fraction", accuracy),
        Measurement("nonfinite_outputs", name, "fraction", 0.0),
    ]
    if name != "baseline":
        own.append(Measurement("size", name, "ratio", size / 1000, against="baseline", comparison="ratio"))
        own.append(Measurement("accuracy", name, "fraction", 0.9 - accuracy, against="baseline", comparison="drop"))
    return keyed(own, key)


def timed(name: str, device: str, ratio: float, key: str, baseline: float = 0.004) -> Listed:
    """As `benchmark` leaves it: the baseline's time stands beside the variant's."""
    return keyed(
        [
            Measurement("latency_p50", "baseline", "s", baseline, device=device),
            Measurement("latency_p50", name, "s", baseline * ratio, device=device),
            Measurement(
                "latency_p50",
                name,
                "ratio",
                ratio,
                (ratio, ratio),
                96,
                device=device,
                noise_floor=0.01,
                comparison="ratio",
            ),
        ],
        key,
    )


def whole() -> list[tuple[str, Listed]]:
    return [
        ("baseline/evaluate.json", evaluated("baseline", 1000, 0.9, "k0")),
        ("half/evaluate.json", evaluated("half", 500, 0.89, "k1")),
        ("int8/evaluate.json", evaluated("int8", 251, 0.87, "k2")),
        ("half/pi5.json", timed("half", "pi5", 0.8, "k3")),
        # measured at another hour, so the baseline beside it took another time: no contradiction
        ("int8/pi5.json", timed("int8", "pi5", 0.5, "k4", baseline=0.005)),
        ("int8/pixel.json", timed("int8", "pixel", 0.9, "k5")),
    ]


def test_the_order_of_the_files_does_not_matter(project: Project) -> None:
    joined = collection.join(project, whole())
    assert collection.join(project, whole()[::-1]) == joined
    assert len(joined) == sum(len(figures) for _, figures in whole())
    decided = decide(terms(project), joined, {})
    assert (decided.verdict, decided.ship) == ("pass", "int8")


def test_a_file_that_is_named_twice_counts_once(project: Project) -> None:
    assert collection.join(project, whole() * 2) == collection.join(project, whole())


def test_what_is_missing_is_not_measured(project: Project) -> None:
    joined = collection.join(project, [entry for entry in whole() if entry[0] != "int8/pi5.json"])
    decided = decide(terms(project), joined, {})
    (rule,) = [r for r in decided.rules if r.variant == "int8" and r.metric == "latency_p50"]
    assert (rule.verdict, "not measured" in rule.sentence) == ("inconclusive", True)
    assert decided.verdict == "inconclusive"


def test_nothing_decides_that_bears_no_key(project: Project) -> None:
    bare = [
        Measurement("size", "half", "B", 500.0),
        unavailable(Measurand("peak_memory"), "half", "B", "no /proc", device="pi5"),
    ]
    stale, absent = collection.join(project, [("by-hand.json", bare)])
    assert (stale.value, stale.status) == (None, "unavailable")
    assert "it bears no key" in str(stale.reason)
    assert absent.reason == "no /proc"


@pytest.mark.parametrize(
    ("name", "figures", "said"),
    [
        (
            "copy.json",
            keyed([Measurement("latency_p50", "int8", "ratio", 0.6, device="pi5", comparison="ratio")], "k4"),
            "latency_p50_ratio of `int8` on pi5 is 0.6 ratio, and in int8/pi5.json it is 0.5 ratio",
        ),
        (
            "copy.json",
            [unavailable(Measurand("latency_p50", "ratio"), "int8", "ratio", "no route", device="pi5")],
            "is not measured (no route), and in int8/pi5.json it is 0.5 ratio",
        ),
        (
            "later.json",
            keyed([Measurement("energy", "int8", "J", 0.1, device="pi5")], "k9"),
            "`int8` on pi5 was measured on another model, machine or examples than in int8/pi5.json",
        ),
        (
            "later.json",
            keyed([Measurement("macs", "int8", "count", 5.0)], "k9"),
            "`int8` was measured on another model, machine or examples than in int8/evaluate.json",
        ),
        (
            "later.json",
            keyed([Measurement("latency_p50", "slim", "s", 0.1, device="pi5")], "k9"),
            "no variant `slim`",
        ),
        (
            "later.json",
            keyed([Measurement("latency_p50", "int8", "s", 0.1, device="pi4")], "k9"),
            "no device `pi4`",
        ),
    ],
    ids=["value", "absent", "key", "evaluation's key", "variant", "device"],
)
def test_what_does_not_belong_together_is_refused_by_name(
    project: Project, name: str, figures: Listed, said: str
) -> None:
    with pytest.raises(UsageError) as told:
        collection.join(project, [*whole(), (name, figures)])
    assert str(told.value).startswith(f"{name}: ")
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("files", "metric"),
    [
        ([("half/evaluate.json", evaluated("half", 500, 0.89, "k1"))], "size"),
        ([("half/evaluate.json", evaluated("half", 500, 0.89, "k1")[1:])], "accuracy"),
        ([("baseline/evaluate.json", evaluated("baseline", 1000, 0.9, "k0"))], "size"),
    ],
    ids=["size", "accuracy", "the baseline itself"],
)
def test_two_baselines_are_found_out_by_what_they_imply(
    project: Project, files: Sequence[tuple[str, Listed]], metric: str
) -> None:
    """Every variant has a key of its own, so no hash shows that the model was trained anew between two files."""
    anew = keyed(
        [
            Measurement("size", "int8", "B", 251.0),
            Measurement("size", "int8", "ratio", 251 / 1001, comparison="ratio"),
            Measurement("accuracy", "int8", "fraction", 0.87),
            Measurement("accuracy", "int8", "fraction", 0.02, comparison="drop"),
        ],
        "k8",
    )
    with pytest.raises(
        UsageError, match=f"^int8/evaluate.json: its baseline has {metric} .*, and that of {files[0][0]}"
    ):
        collection.join(project, [*files, ("int8/evaluate.json", anew)])


def test_files_are_read_and_their_neighbours_passed_over(tmp_path: Path) -> None:
    written = {
        "reports/half/evaluate.json": measurement.dumps(evaluated("half", 500, 0.89, "k1")),
        "reports/half/reference.json": '{"status": "ok"}',
        "reports/devices/pi5.json": '{"status": "ok", "identity": {}}',
        "reports/plots/pareto.json": "[]",
    }
    for path, text in written.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    ((name, figures),) = collection.read([tmp_path / path for path in written])
    assert name == str(tmp_path / "reports/half/evaluate.json")
    assert list(figures) == evaluated("half", 500, 0.89, "k1")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        (b"\xff\xfe", "cannot be read"),
        (b"{}", "this is no file of measurements"),
        (json.dumps({"size_kb": 5, "measurements": []}).encode(), "its figures do not agree with its measurements"),
    ],
)
def test_what_is_no_file_of_measurements_is_told(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "int8.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as told:
        collection.read([path])
    assert str(told.value).startswith(f"{path}: ")
    assert said in str(told.value)
    assert "Name files as `evaluate` and `benchmark` write them" in str(told.value)
