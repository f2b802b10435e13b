"""Evidence: figures count only while all that they depend on is still what it was."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makeweight import measurement
from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.files import sha256_of
from makeweight.artifact.ports import Port
from makeweight.artifact.trial import Trial
from makeweight.bench import sitting
from makeweight.budget.measurand import Measurand
from makeweight.decide import decide
from makeweight.devices import record
from makeweight.devices.record import Record
from makeweight.evidence import disk, keys
from makeweight.evidence.benchmark import keep
from makeweight.layout import Layout
from makeweight.measure import outcomes, timings
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement, keyed, unavailable
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight.proof.audit import audit
from makeweight.publish import terms
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.verbs import benchmark
from makeweight_base.errors import UsageError
from makeweight_base.progress import Silent
from makeweight_probe.job import Result
from model_values import model_in

CONFIG = """\
model: {onnx: model.onnx}
data: {npz: {test: test.npz}}
task: classification
variants: {half: {steps: [float16]}}
devices: {pi5: {kind: local, threads: 2}}
budget:
  size: {max: 1 MB}
  accuracy: {min: 50 %}
  latency_p50: {max_ratio: 0.7}
"""
VERSION = "1.0-recorded"
IDENTITY = {"cpu": "A76", "isa": ["asimddp"], "runtimes": {"onnxruntime": VERSION}}

ANSWERED = {"0:0": np.array([[3.0, -4.0]]), "1:0": np.array([[0.0, 5.0]])}


@dataclass
class Repository:
    """A project as `dvc repro` leaves it, written without running anything."""

    root: Path
    config: str = CONFIG

    @property
    def project(self) -> Project:
        return understand(self.config, "makeweight.yaml", self.root)

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    def model(self, name: str, content: bytes, parent: str | None) -> str:
        folder = self.layout.artifact(name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes(content)
        made = model_in(folder, outputs=(Port("scores", ("N", 2), "float32"),))
        tried = None if parent is None else Trial(8, "float32", {"scores": 31.0})
        artifact.write(folder, Manifest(name, "ready", "onnxruntime", [], 0, parent, {}, model=made, trial=tried))
        return sha256_of(folder / "model.onnx")

    def outcome(self, name: str, sha: str, digest: str = "examples") -> None:
        answers = np.array([0, 1, 1])
        found = Outcomes(
            {"prediction": answers, "confidence": np.full(3, 0.9), "target": answers},
            np.ones(3, bool),
            None,
            2,
            "softmax",
            digest,
            {"sha256": sha, "runtime": "onnxruntime", "version": VERSION},
            outputs=ANSWERED,
        )
        outcomes.write(self.layout.outcomes(name), found)

    def write(self) -> None:
        self.root.joinpath("makeweight.yaml").write_text(self.config)
        base = self.model("baseline", b"the original", None)
        half = self.model("half", b"half of it", base)
        np.savez(self.layout.inputs, x=np.zeros(3))
        record.write(self.layout.device("pi5"), Record(status="ok", identity=IDENTITY))
        task = self.project.task
        for name, sha in (("baseline", base), ("half", half)):
            self.outcome(name, sha)
            key = keys.evaluation(
                baseline=base,
                variant=sha,
                runtimes={"onnxruntime": VERSION},
                task=task,
                output=None,
                inputs="examples",
                batches=(None, None),
            )
            figures = [
                Measurement("size", name, "B", 10.0),
                Measurement("accuracy", name, "fraction", 0.9, samples=3),
                Measurement("nonfinite_outputs", name, "fraction", 0.0, samples=3),
            ]
            self.layout.evaluation(name).parent.mkdir(parents=True, exist_ok=True)
            self.layout.evaluation(name).write_text(measurement.dumps(keyed(figures, key)))
        key = keys.benchmark(
            baseline=base,
            variant=half,
            runtimes=["onnxruntime"],
            identity=IDENTITY,
            threads=2,
            inputs=sha256_of(self.layout.inputs),
        )
        ratio = Measurement(
            "latency_p50", "half", "ratio", 0.5, (0.49, 0.51), 96, device="pi5", noise_floor=0.01, comparison="ratio"
        )
        self.layout.benchmark("half", "pi5").write_text(measurement.dumps(keyed([ratio], key)))
        process = Result({"wall_a": np.ones((3, 5))}, {"rounds": 3, "seconds": 1.0, "inner": 1})
        timings.write(self.layout.timings("half", "pi5"), Timings((process,), {}, outputs=ANSWERED))

    def figures(self) -> dict[tuple[str, str], Measurement]:
        return {(m.measurand.name, m.variant): m for m in disk.collect(self.project).measurements}

    def verdict(self) -> str:
        known = disk.collect(self.project)
        return decide(terms(self.project), known.measurements, known.failed).verdict


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    # as where only reports are made: the version that counts is the recorded one
    monkeypatch.setattr(OnnxRuntime, "version", lambda _: None)
    made = Repository(tmp_path)
    made.write()
    return made


def test_what_belongs_together_counts(repository: Repository) -> None:
    known = disk.collect(repository.project)
    assert {m.status for m in known.measurements} == {"measured"}
    assert set(known.outcomes) == {"baseline", "half"}
    assert set(known.timings) == {("half", "pi5")}
    assert repository.verdict() == "pass"


@pytest.mark.parametrize(
    ("off", "counts"),
    [
        # the answers have a power of 50: 35.0 dB are 0.0158 of that, and compression left 31.0
        (np.sqrt(50 / 10**3.5), True),
        (np.sqrt(50 / 10**2.5), False),
    ],
    ids=["less than compression", "more"],
)
def test_quality_does_not_hold_where_a_device_answers_otherwise(
    repository: Repository, off: float, counts: bool
) -> None:
    path = repository.layout.timings("half", "pi5")
    there = {**ANSWERED, "1:0": ANSWERED["1:0"] + np.array([[off, 0]])}
    timings.write(path, replace(timings.read(path), outputs=there))
    accuracy = repository.figures()["accuracy", "half"]
    assert repository.figures()["size", "half"].value == 10
    assert repository.figures()["accuracy", "baseline"].value == 0.9
    assert (accuracy.value == 0.9) is counts
    assert repository.verdict() == ("pass" if counts else "inconclusive")
    if not counts:
        assert accuracy.cause == "elsewhere"
        assert str(accuracy.reason).endswith("(`scores`: signal to noise 25.0 dB, and compression left 31.0 dB)")


def test_what_an_older_evaluation_did_not_keep_is_not_compared(repository: Repository) -> None:
    path = repository.layout.outcomes("half")
    outcomes.write(path, replace(outcomes.read(path), outputs={}))
    assert repository.verdict() == "pass"


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def variant_file_edited(r: Repository) -> None:
    (r.layout.artifact("half") / "model.onnx").write_bytes(b"something else")


def variant_made_anew(r: Repository) -> None:
    r.model("half", b"half of it, anew", sha256_of(r.layout.artifact("baseline") / "model.onnx"))


def variant_file_gone(r: Repository) -> None:
    (r.layout.artifact("half") / "model.onnx").unlink()


def variant_gone(r: Repository) -> None:
    for path in r.layout.artifact("half").iterdir():
        path.unlink()


def baseline_made_anew(r: Repository) -> None:
    sha = r.model("baseline", b"another original", None)
    r.model("half", b"half of it", sha)


def variant_of_another_baseline(r: Repository) -> None:
    r.model("half", b"half of it", "0" * 64)


def baseline_gone(r: Repository) -> None:
    for path in r.layout.artifact("baseline").iterdir():
        path.unlink()


def other_examples(r: Repository) -> None:
    for name in ("baseline", "half"):
        r.outcome(name, "", digest="other examples")


def no_baseline_answers(r: Repository) -> None:
    r.layout.outcomes("baseline").unlink()


def other_task(r: Repository) -> None:
    r.config = r.config.replace("task: classification", "task: {kind: classification, absent_classes: allow}")


def other_output(r: Repository) -> None:
    r.config = r.config.replace("{onnx: model.onnx}", "{onnx: model.onnx, output: logits}")


def other_runtime_version_recorded(r: Repository) -> None:
    for name in ("baseline", "half"):
        own = outcomes.read(r.layout.outcomes(name))
        outcomes.write(r.layout.outcomes(name), replace(own, facts={**own.facts, "version": "2.0"}))


def key_edited(r: Repository) -> None:
    for path in (r.layout.evaluation("half"), r.layout.evaluation("baseline"), r.layout.benchmark("half", "pi5")):
        edit_json(path, lambda data: data["measurements"][0].update(key="0" * 64))


def keys_removed(r: Repository) -> None:
    for path in (r.layout.evaluation("half"), r.layout.evaluation("baseline"), r.layout.benchmark("half", "pi5")):
        edit_json(path, lambda data: [entry.pop("key") for entry in data["measurements"]])


def other_device(r: Repository) -> None:
    record.write(r.layout.device("pi5"), Record(status="ok", identity={**IDENTITY, "cpu": "A53"}))


def other_runtime_on_the_device(r: Repository) -> None:
    record.write(r.layout.device("pi5"), Record(status="ok", identity={**IDENTITY, "runtimes": {"onnxruntime": "2.0"}}))


def device_unreachable(r: Repository) -> None:
    record.write(r.layout.device("pi5"), Record(status="unreachable", reason="no route"))


def device_never_asked(r: Repository) -> None:
    r.layout.device("pi5").unlink()


def other_threads(r: Repository) -> None:
    r.config = r.config.replace("threads: 2", "threads: 4")


def other_samples(r: Repository) -> None:
    np.savez(r.layout.inputs, x=np.ones(3))


def no_samples(r: Repository) -> None:
    r.layout.inputs.unlink()


EVALUATION, BENCHMARK = {"size", "accuracy", "nonfinite_outputs"}, {"latency_p50_ratio"}


@pytest.mark.parametrize(
    ("happened", "stale"),
    [
        (variant_file_edited, EVALUATION | BENCHMARK),
        (variant_made_anew, EVALUATION | BENCHMARK),
        (variant_file_gone, EVALUATION | BENCHMARK),
        (variant_gone, EVALUATION | BENCHMARK),
        (baseline_made_anew, EVALUATION | BENCHMARK),
        (variant_of_another_baseline, EVALUATION | BENCHMARK),
        (baseline_gone, EVALUATION | BENCHMARK),
        (key_edited, EVALUATION | BENCHMARK),
        (keys_removed, EVALUATION | BENCHMARK),
        (other_examples, EVALUATION),
        (no_baseline_answers, EVALUATION),
        (other_task, EVALUATION),
        (other_output, EVALUATION),
        (other_runtime_version_recorded, EVALUATION),
        (other_device, BENCHMARK),
        (other_runtime_on_the_device, BENCHMARK),
        (device_unreachable, BENCHMARK),
        (device_never_asked, BENCHMARK),
        (other_threads, BENCHMARK),
        (other_samples, BENCHMARK),
        (no_samples, BENCHMARK),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_no_figure_outlives_what_it_depends_on(
    repository: Repository, happened: Callable[[Repository], None], stale: set[str]
) -> None:
    happened(repository)
    found = {metric: m for (metric, variant), m in repository.figures().items() if variant == "half"}
    assert set(found) == EVALUATION | BENCHMARK, "nothing is dropped in silence"
    assert {metric for metric, m in found.items() if str(m.reason).startswith("stale: ")} == stale
    for metric, m in found.items():
        assert (m.value is None) == (metric in stale)
    assert repository.verdict() == "inconclusive"
    known = disk.collect(repository.project)
    assert ("half" in known.outcomes) == ("accuracy" not in stale), "nor is it shown"
    assert (("half", "pi5") in known.timings) == ("latency_p50_ratio" not in stale)


def test_another_version_of_the_runtime_here_makes_the_evaluation_stale(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnnxRuntime, "version", lambda _: "2.0")
    assert str(repository.figures()["accuracy", "half"].reason).startswith("stale: ")
    monkeypatch.setattr(OnnxRuntime, "version", lambda _: VERSION)
    assert repository.figures()["accuracy", "half"].status == "measured"


def test_what_was_not_used_may_be_upgraded(repository: Repository) -> None:
    versions = {**IDENTITY["runtimes"], "litert": "2.0"}  # type: ignore[dict-item]
    record.write(repository.layout.device("pi5"), Record(status="ok", identity={**IDENTITY, "runtimes": versions}))
    assert {m.status for m in repository.figures().values()} == {"measured"}


def test_the_baselines_runtime_counts_for_what_was_paired_with_it(repository: Repository) -> None:
    own = outcomes.read(repository.layout.outcomes("baseline"))
    manifest = artifact.read(repository.layout.artifact("baseline"))
    assert manifest.model is not None
    # from now on the baseline is a model of another runtime, which answered in another version
    other = replace(manifest, runtime="theirs", model=replace(manifest.model, runtime="theirs"))
    artifact.write(repository.layout.artifact("baseline"), other)
    outcomes.write(repository.layout.outcomes("baseline"), replace(own, facts={**own.facts, "version": "7.1"}))
    assert str(repository.figures()["accuracy", "half"].reason).startswith("stale: ")


def test_a_recipe_that_fails_now_leaves_no_figure_of_when_it_did_not(repository: Repository) -> None:
    for path in repository.layout.artifact("half").iterdir():
        path.unlink()
    base = sha256_of(repository.layout.artifact("baseline") / "model.onnx")
    failed = Manifest("half", "failed", "onnxruntime", [], 0, base, {}, reason="nothing to convert")
    artifact.write(repository.layout.artifact("half"), failed)
    assert {m.value for (_, variant), m in repository.figures().items() if variant == "half"} == {None}
    assert disk.collect(repository.project).failed == {"half": "nothing to convert"}
    assert repository.verdict() == "fail"


def test_what_could_not_be_measured_keeps_its_own_reason(repository: Repository) -> None:
    absent = unavailable(Measurand("latency_p50", "ratio"), "half", "ratio", "unreachable: no route", device="pi5")
    repository.layout.benchmark("half", "pi5").write_text(measurement.dumps([absent]))
    device_unreachable(repository)
    assert repository.figures()["latency_p50_ratio", "half"].reason == "unreachable: no route"


def test_what_was_never_made_needs_no_manifest_here(repository: Repository) -> None:
    """Its files tell the reason where its artifact was not pulled, too."""
    at, reason = repository.layout, "nothing to convert"
    for path, device in ((at.evaluation("half"), None), (at.benchmark("half", "pi5"), "pi5")):
        metric = "accuracy" if device is None else "latency_p50"
        absent = unavailable(Measurand(metric), "half", "", reason, device=device)
        path.write_text(measurement.dumps([absent]))
    (at.artifact("half") / "manifest.json").unlink()
    assert {m.reason for (_, variant), m in repository.figures().items() if variant == "half"} == {reason}


def test_figures_of_a_pipeline_are_of_the_code_that_was_sent(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody edits it while it is measured."""
    code, at = repository.root / "serving.py", repository.layout
    repository.config += "sources: [serving.py]\npipeline: {preprocess: 'serving:decode', samples: raw}\n"
    code.write_text("sent")
    np.savez(at.raw, names=np.zeros(1))
    (taken,) = timings.read(at.timings("half", "pi5")).processes
    (ratio,) = measurement.loads(at.benchmark("half", "pi5").read_text(), "half")

    def carried_out(*_: Any, **__: Any) -> Timings:
        code.write_text("edited")
        return Timings(
            (Result(taken.samples, {**taken.facts, "identity": IDENTITY, "apart": False}),), {"a": [], "b": []}
        )

    monkeypatch.setattr(sitting, "carry_out", carried_out)
    monkeypatch.setattr(sitting, "measurements", lambda *_: [ratio])
    benchmark.run(repository.project, "half", "pi5", Silent())
    assert repository.figures()["latency_p50_ratio", "half"].cause == "stale"
    code.write_text("sent")
    assert repository.figures()["latency_p50_ratio", "half"].value == ratio.value


def test_nothing_measured_yet(tmp_path: Path) -> None:
    known = disk.collect(Repository(tmp_path).project)
    assert (known.measurements, known.failed, dict(known.manifests), dict(known.timings)) == ((), {}, {}, {})
    decided = decide(terms(Repository(tmp_path).project), known.measurements, known.failed)
    assert decided.verdict == "inconclusive"
    assert all(rule.settle for rule in decided.rules)


@pytest.mark.parametrize(
    "path",
    [
        lambda layout: layout.artifact("half") / "manifest.json",
        lambda layout: layout.outcomes("half"),
        lambda layout: layout.evaluation("half"),
        lambda layout: layout.benchmark("half", "pi5"),
        lambda layout: layout.timings("half", "pi5"),
        lambda layout: layout.device("pi5"),
    ],
    ids=["manifest", "outcomes", "evaluation", "benchmark", "timings", "device"],
)
def test_a_damaged_file_is_told_by_its_name(repository: Repository, path: Callable[[Layout], Path]) -> None:
    damaged = path(repository.layout)
    damaged.write_bytes(damaged.read_bytes()[:40])
    with pytest.raises(UsageError) as told:
        disk.collect(repository.project)
    assert str(told.value).startswith(str(damaged))


def test_of_two_benchmarks_that_end_at_once_samples_and_figures_are_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, write = Layout(tmp_path), timings.write

    def ends(seconds: float) -> None:
        taken = Timings((), {"a": [{"load": seconds}], "b": []})
        keep(layout, "half", "pi5", taken, [Measurement("latency_p50", "half", "s", seconds, device="pi5")])

    other = threading.Thread(target=ends, args=(2.0,))

    def writes(path: Path, taken: Timings) -> None:
        write(path, taken)
        if taken.memory["a"] == [{"load": 1.0}]:
            other.start()
            other.join(0.1)  # it would end meanwhile, if nothing held it back

    monkeypatch.setattr(timings, "write", writes)
    ends(1.0)
    other.join()
    (figure,) = measurement.loads(layout.benchmark("half", "pi5").read_text(), "pi5.json")
    assert timings.read(layout.timings("half", "pi5")).memory["a"] == [{"load": figure.value}]
    assert figure.value == 2.0
    assert [each.name for each in layout.timings("half", "pi5").parent.iterdir()] == ["pi5.npz"]


def test_an_evaluation_speaks_for_no_device(repository: Repository) -> None:
    """The user's own code runs where it is written, and a figure of a device that did not answer would count."""
    path = repository.layout.evaluation("half")
    figures = measurement.loads(path.read_text(), str(path))
    fast = Measurement("latency_p50", "half", "ratio", 0.1, device="pi5", comparison="ratio", key=figures[0].key)
    path.write_text(measurement.dumps([*figures, fast]))
    with pytest.raises(UsageError, match="holds figures of a device") as told:
        disk.collect(repository.project)
    assert told.value.where == str(path)


def test_provenance_names_the_hash_of_all_that_went_in(repository: Repository) -> None:
    (repository.root / "model.onnx").write_bytes(b"the original")
    (repository.root / "test.npz").write_bytes(b"examples")
    known = disk.collect(repository.project)
    found = known.provenance
    layout = repository.layout
    assert found["config"] == sha256_of(layout.config)
    assert found["model"] == {"model.onnx": sha256_of(repository.root / "model.onnx")}
    assert found["data"] == {"test.npz": sha256_of(repository.root / "test.npz")}
    assert found["artifacts"]["half"] == sha256_of(layout.artifact("half") / "model.onnx")
    assert found["manifests"]["half"] == sha256_of(layout.artifact("half") / "manifest.json")
    assert found["test_examples"] == "examples"
    assert found["benchmark_inputs"] == sha256_of(layout.inputs)
    assert set(found["raw_samples"]) == {
        "samples/baseline/evaluate.npz",
        "samples/half/evaluate.npz",
        "samples/half/pi5.npz",
    }
    assert found["devices"]["pi5"] == {
        "status": "ok",
        "identity": IDENTITY,
        "fingerprint": keys.fingerprint(IDENTITY),
    }
    assert found["failed"] == {}
    again = disk.collect(repository.project).provenance
    assert json.dumps(again, sort_keys=True) == json.dumps(found, sort_keys=True)
    assert {finding.status for finding in audit(found, repository.root)} == {"matches"}


def test_provenance_says_what_was_not_at_hand(repository: Repository) -> None:
    device_unreachable(repository)
    found = disk.collect(repository.project).provenance
    assert (found["model"], found["data"]) == ({"model.onnx": None}, {"test.npz": None})
    assert found["devices"] == {"pi5": {"status": "unreachable", "identity": {}, "reason": "no route"}}


def test_provenance_holds_why_a_variant_failed_and_the_control_of_one_that_was_trained(repository: Repository) -> None:
    folder = repository.layout.artifact("half")
    (folder / "control.onnx").write_bytes(b"trained as long")
    artifact.write(folder, replace(artifact.read(folder), control=model_in(folder, "control.onnx")))
    found = disk.collect(repository.project).provenance
    assert found["controls"] == {"artifacts/half/control.onnx": sha256_of(folder / "control.onnx")}
    artifact.write(folder, replace(artifact.read(folder), status="failed", reason="nothing to convert", control=None))
    found = disk.collect(repository.project).provenance
    assert (found["failed"], found["controls"]) == ({"half": "nothing to convert"}, {})
