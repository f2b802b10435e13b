"""What a probe is asked and what it answers: plain data that travels as one JSON and one .npz file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from makeweight_probe import ProbeFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROTOCOL = 3
"""Part of every benchmark's key: raise it when figures would no longer be comparable."""

CPU = "cpu"
"""What computes where nothing else is asked for."""

Files = tuple[str, ...]
"""Files that lie side by side; the first stands for them all."""


@dataclass(frozen=True)
class Model:
    """A model on disk, the runtime that opens it, and the threads that one inference may use."""

    runtime: str
    path: str
    threads: int
    beside: Files = ()
    """Files that it reads by itself, from the same folder: external weights."""
    ports: tuple[tuple[str, tuple[int | str | None, ...]], ...] = ()
    """Its inputs, and their sizes as its file has them, by a name or None where it leaves them free. Known where
    something other than a session is to run it."""
    execution_provider: str = CPU
    """What computes it there: `cpu`, or what its runtime has besides."""

    @property
    def files(self) -> Files:
        return (self.path, *self.beside)

    def moved(self, places: Mapping[str, str]) -> Self:
        return replace(self, path=places[self.path], beside=tuple(places[path] for path in self.beside))

    def shares_a_process_with(self, other: Model) -> bool:
        """Two runtimes in one process, or thread pools of two sizes, would disturb each other."""
        return (self.runtime, self.threads, self.execution_provider) == (
            other.runtime,
            other.threads,
            other.execution_provider,
        )


@dataclass(frozen=True)
class Setting:
    """What is changed on a machine while it measures, see `setting.py`. None: left as it is."""

    cpus: tuple[int, ...] | None = None
    """Processors that the measuring processes may run on."""
    governor: str | None = None
    """Of cpufreq, of these processors; of all, where none are named."""


@dataclass(frozen=True)
class FactsJob:
    """Ask a machine what it is: answers `identity` and `conditions`, see `facts.py`."""

    execution_provider: str = CPU
    """What is to compute there."""

    def files(self) -> tuple[Files, ...]:
        return ()

    def moved(self, places: Mapping[str, str]) -> FactsJob:  # noqa: ARG002
        return self


@dataclass(frozen=True)
class LackingJob:
    """Ask it what cannot be measured there, too, which takes longer: answers `lacking` besides, by name the reason and
    what to do, see `lacking.py`."""

    execution_provider: str = CPU
    """What is to compute there."""
    meter: str | Mapping[str, Any] | None = None
    """What is to read energy, as `EnergyJob` has it."""
    cpus: tuple[int, ...] | None = None
    """The processors that measuring runs on there; None: all that it may."""

    def files(self) -> tuple[Files, ...]:
        return ()

    def moved(self, places: Mapping[str, str]) -> LackingJob:  # noqa: ARG002
        return self


@dataclass(frozen=True)
class Cold:
    """Time single runs with the caches flushed before each: at most `rounds` of every arm, for at most `seconds`."""

    limits: tuple[float, ...]
    """Ratios time(b)/time(a)."""
    rounds: int
    seconds: float


@dataclass(frozen=True)
class BlocksJob:
    """Time two models in turns of short blocks, with a third arm that is the first model once more (the control).

    A round runs one block of every arm, in random order, on the same real sample. Rounds go on until each of `limits`
    (ratios time(b)/time(a)) is decided, and `target_runs` of each arm count or `target_seconds` have passed; at the
    latest when `seconds` have passed.
    """

    a: Model
    b: Model
    inputs: str
    """An .npz of real samples: arrays named `index:input`, as the model takes them."""
    apart: bool
    """Whether each arm gets a process of its own."""
    warming: tuple[int, int] | None
    """How many runs to drop at the beginning of a block of `a` (and the control) and of `b`; None: measure it."""
    seconds: float
    limits: tuple[float, ...]
    target_runs: int
    target_seconds: float
    batch: int | None
    """Batch size for throughput; None: the model's batch is fixed, so it is not measured."""
    cold: Cold | None
    seed: int
    inputs_b: str | None = None
    """The same samples in the types that `b` takes; None: it takes them as `a` does."""
    outputs: bool = False
    """Whether to ask `b`, once it is timed, for its answers to all samples; see `outputs.py`."""

    def files(self) -> tuple[Files, ...]:
        return _files_of_two(self)

    def moved(self, places: Mapping[str, str]) -> BlocksJob:
        return _two_moved(self, places)


@dataclass(frozen=True)
class MemoryJob:
    """Peak memory of one model by phase: import, load, run."""

    model: Model
    inputs: str
    runs: int = 10

    def files(self) -> tuple[Files, ...]:
        return self.model.files, (self.inputs,)

    def moved(self, places: Mapping[str, str]) -> MemoryJob:
        return replace(self, model=self.model.moved(places), inputs=places[self.inputs])


@dataclass(frozen=True)
class EnergyJob:
    """Energy of one inference of two models, see `energy.py`."""

    a: Model
    b: Model
    inputs: str
    apart: bool
    """Whether each arm gets a process of its own."""
    meter: str | Mapping[str, Any] | None
    """What reads it, by name or as its `kind` with options; None: the first that can be read there."""
    seed: int
    inputs_b: str | None = None
    """See `BlocksJob`."""

    def files(self) -> tuple[Files, ...]:
        return _files_of_two(self)

    def moved(self, places: Mapping[str, str]) -> EnergyJob:
        return _two_moved(self, places)


@dataclass(frozen=True)
class Port:
    """An input of a model, as a pipeline has to feed it: the first size is the batch, one that is free no number."""

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str

    def takes(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == len(self.shape) and all(
            not isinstance(want, int) or want == have for want, have in zip(self.shape, shape, strict=True)
        )


@dataclass(frozen=True)
class Pipeline:
    """What is around a model: the user's code, the raw samples that it begins with, and the ports that it feeds."""

    sources: str
    """A .zip of the user's code and the files beside it."""
    raw: str
    """An .npz of raw samples, see `raw.py`."""
    preprocess: str
    """`module:callable` that makes of a raw sample what the model takes."""
    postprocess: str | None
    """`module:callable` that makes something of the outputs, a mapping by their names; None: they are the answer."""
    inputs: tuple[Port, ...]
    """Those that samples feed."""
    outputs: tuple[str, ...]
    """Their names, in the model's order."""

    @property
    def files(self) -> tuple[Files, ...]:
        return (self.sources,), (self.raw,)

    def moved(self, places: Mapping[str, str]) -> Pipeline:
        return replace(self, sources=places[self.sources], raw=places[self.raw])


@dataclass(frozen=True)
class PipelineJob:
    """Time two models, each within its pipeline, in turns of blocks; see `pipeline.py`."""

    blocks: BlocksJob
    """The models and how long to time them; without batches, and not with empty caches."""
    a: Pipeline
    b: Pipeline

    def files(self) -> tuple[Files, ...]:
        return (*self.blocks.files(), *self.a.files, *self.b.files)

    def moved(self, places: Mapping[str, str]) -> PipelineJob:
        return PipelineJob(self.blocks.moved(places), self.a.moved(places), self.b.moved(places))


@dataclass(frozen=True)
class StartsJob:
    """Launch two models in turns, each time in a fresh process, see `starts.py`."""

    a: Model
    b: Model
    inputs: str
    launches: int
    """Of each model, at least."""
    seconds: float
    limits: tuple[float, ...]
    """Ratios time(b)/time(a): it goes on until they are decided, or the seconds have passed."""
    seed: int
    inputs_b: str | None = None
    """See `BlocksJob`."""

    def files(self) -> tuple[Files, ...]:
        return _files_of_two(self)

    def moved(self, places: Mapping[str, str]) -> StartsJob:
        return _two_moved(self, places)


@dataclass(frozen=True)
class MatrixJob:
    """Throughput of two models on one number of threads, for several sizes of batches; see `batches.py`."""

    a: Model
    b: Model
    inputs: str
    apart: bool
    """Whether each arm gets a process of its own."""
    batches: tuple[int, ...]
    """How many examples to ask for at once: multiples of `examples`."""
    examples: int
    """How many a sample holds."""
    rounds: int
    """Turns of each arm with each size, at most."""
    seconds: float
    """For all sizes together."""
    seed: int
    inputs_b: str | None = None
    """See `BlocksJob`."""

    def files(self) -> tuple[Files, ...]:
        return _files_of_two(self)

    def moved(self, places: Mapping[str, str]) -> MatrixJob:
        return _two_moved(self, places)


OfTwo = BlocksJob | EnergyJob | StartsJob | MatrixJob
Two = TypeVar("Two", BlocksJob, EnergyJob, StartsJob, MatrixJob)


def arms_of(job: OfTwo) -> dict[str, tuple[Model, str]]:
    """Each of the two models with the file of its samples, by arm."""
    return {"a": (job.a, job.inputs), "b": (job.b, job.inputs_b or job.inputs)}


def _files_of_two(job: OfTwo) -> tuple[Files, ...]:
    own = () if job.inputs_b is None else ((job.inputs_b,),)
    return job.a.files, job.b.files, (job.inputs,), *own


def _two_moved(job: Two, places: Mapping[str, str]) -> Two:
    own = job.inputs_b and places[job.inputs_b]
    moved = replace(job, a=job.a.moved(places), b=job.b.moved(places), inputs=places[job.inputs])
    return replace(moved, inputs_b=own)


@dataclass(frozen=True)
class ProfileJob:
    """Which operators take the time of models, one after the other in one process, see `profile.py`."""

    models: tuple[tuple[Model, str], ...]
    """Each with its samples, as `BlocksJob` has them."""

    def files(self) -> tuple[Files, ...]:
        return tuple(files for model, inputs in self.models for files in (model.files, (inputs,)))

    def moved(self, places: Mapping[str, str]) -> ProfileJob:
        return ProfileJob(tuple((model.moved(places), places[inputs]) for model, inputs in self.models))


@dataclass(frozen=True)
class AnswersJob:
    """Run a model on real examples: whether it can, how far its answers are from another model's, and whether they
    depend on the examples beside them.

    Answers the facts `examples`; by output `decibels` (signal to noise against `reference`, None where nothing could be
    compared), `same` (of integers, how many are the reference's, and of how many), `broken` (numbers that are not
    finite where the reference's are), `together` and `same_together` (the same of answers had together against those
    had one by one), `again` and `same_again` (of the first sample, asked once more at the end, against its first
    answer); and `refused` (why it does not take several at once).
    """

    model: Model
    reference: Model | None
    inputs: str
    """An .npz of real samples: arrays named `index:input`, as the model takes them."""
    together: int | None
    """How many samples to ask for at once, besides one at a time; None: the model's batch is fixed."""
    scores: int | None
    """The output of which the answers themselves come back; None: none."""
    reference_inputs: str | None = None
    """The same samples in the names, types and layout that `reference` takes; None: it takes them as `model` does."""
    counterparts: tuple[tuple[int, tuple[int, ...] | None] | None, ...] | None = None
    """For each output which of the reference's it is, and how that is transposed to its layout; None: it has none. All
    None: they are the same."""
    wanted: str | None = None
    """In place of `reference`, an .npz of what it would answer: arrays named `index:output`, in its outputs' order."""

    def files(self) -> tuple[Files, ...]:
        reference = () if self.reference is None else (self.reference.files,)
        others = ((each,) for each in (self.reference_inputs, self.wanted) if each is not None)
        return self.model.files, *reference, (self.inputs,), *others

    def moved(self, places: Mapping[str, str]) -> AnswersJob:
        reference = self.reference and self.reference.moved(places)
        own, wanted = (each and places[each] for each in (self.reference_inputs, self.wanted))
        moved = replace(self, model=self.model.moved(places), reference=reference, inputs=places[self.inputs])
        return replace(moved, reference_inputs=own, wanted=wanted)


Job = (
    FactsJob
    | LackingJob
    | BlocksJob
    | MemoryJob
    | EnergyJob
    | ProfileJob
    | AnswersJob
    | PipelineJob
    | StartsJob
    | MatrixJob
)


@dataclass(frozen=True)
class Result:
    """What a probe answers: arrays of raw samples, and facts about the run."""

    samples: dict[str, NDArray[Any]]
    """Blocks: `wall_a`, `wall_b`, `wall_control`, `cpu_…` (ns per inference, shape [rounds, runs that count]),
    `cold_…` (ns, shape [runs]), `batch_a`, `batch_b` (ns per batch). A matrix: see `batches.measure`. Energy: see
    `energy.measure`. Answers: `wanted` and `given`, the scores of reference and model, shape [examples, ...]. Others:
    none."""
    facts: dict[str, Any]
    outputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """What the second model answered, see `outputs.py`; empty where it was not asked."""


_FACTS, _ARRAY, _OUTPUT = "facts.json", ".npy", "outputs/"
"""Names in the file of a result: of its facts, at the end of an array, and at the beginning of one of `outputs`."""


def dump_job(job: Job, held: Setting = Setting()) -> str:
    """Args:
    held: what is changed on the machine meanwhile.
    """
    return json.dumps({"protocol": PROTOCOL, "kind": type(job).__name__, "setting": asdict(held), **asdict(job)})


def load_setting(text: str) -> Setting:
    """What is changed on the machine while a job is carried out."""
    told = json.loads(text).get("setting") or {}
    cpus = told.get("cpus")
    return Setting(None if cpus is None else tuple(cpus), told.get("governor"))


def load_job(text: str) -> Job:
    """Raises:
    ProbeFailed: it is of another protocol, or a kind that this probe does not know.
    """
    data = json.loads(text)
    spoken, kind = data.pop("protocol"), data.pop("kind")
    data.pop("setting", None)
    if spoken != PROTOCOL:
        raise ProbeFailed(f"this probe speaks protocol {PROTOCOL}, the job {spoken}; push the probe again")
    if kind == FactsJob.__name__:
        return FactsJob(**data)
    if kind == LackingJob.__name__:
        return LackingJob(**data)
    if kind == BlocksJob.__name__:
        return _load_blocks(data)
    if kind == PipelineJob.__name__:
        return PipelineJob(_load_blocks(data["blocks"]), load_pipeline(data["a"]), load_pipeline(data["b"]))
    if kind == MatrixJob.__name__:
        models = {arm: load_model(data[arm]) for arm in ("a", "b")}
        return MatrixJob(**{**data, **models, "batches": tuple(data["batches"])})
    if kind == StartsJob.__name__:
        models = {arm: load_model(data[arm]) for arm in ("a", "b")}
        return StartsJob(**{**data, **models, "limits": tuple(data["limits"])})
    if kind == MemoryJob.__name__:
        return MemoryJob(**{**data, "model": load_model(data["model"])})
    if kind == EnergyJob.__name__:
        return EnergyJob(**{**data, **{arm: load_model(data[arm]) for arm in ("a", "b")}})
    if kind == ProfileJob.__name__:
        return ProfileJob(tuple((load_model(model), inputs) for model, inputs in data["models"]))
    if kind == AnswersJob.__name__:
        reference = data["reference"] and load_model(data["reference"])
        told = data["counterparts"]
        counterparts = told and tuple(each and (each[0], each[1] and tuple(each[1])) for each in told)
        models = {"model": load_model(data["model"]), "reference": reference}
        return AnswersJob(**{**data, **models, "counterparts": counterparts})
    raise ProbeFailed(f"unknown job {kind}")


def _load_blocks(data: Mapping[str, Any]) -> BlocksJob:
    cold = data["cold"] and Cold(**{**data["cold"], "limits": tuple(data["cold"]["limits"])})
    arms = {arm: load_model(data[arm]) for arm in ("a", "b")}
    warming = data["warming"] and tuple(data["warming"])
    return BlocksJob(**{**data, **arms, "limits": tuple(data["limits"]), "cold": cold, "warming": warming})


def load_pipeline(data: Mapping[str, Any]) -> Pipeline:
    ports = tuple(Port(**{**port, "shape": tuple(port["shape"])}) for port in data["inputs"])
    return Pipeline(**{**data, "inputs": ports, "outputs": tuple(data["outputs"])})


def load_model(data: Mapping[str, Any]) -> Model:
    ports = tuple((name, tuple(shape)) for name, shape in data.get("ports", ()))
    return Model(**{**data, "beside": tuple(data["beside"]), "ports": ports})


def dump_result(result: Result, path: Path) -> None:
    """As one zip: facts as JSON, and each array as numpy has it on file. Who answers without arrays needs no numpy."""
    import zipfile

    arrays: dict[str, Any] = {**result.samples, **{f"{_OUTPUT}{name}": each for name, each in result.outputs.items()}}
    with zipfile.ZipFile(path, "w") as archive:
        # of no time: what has no clock of its own may be in a year that a zip does not know
        archive.writestr(zipfile.ZipInfo(_FACTS), json.dumps(result.facts))
        for name, values in arrays.items():
            from numpy.lib import format

            with archive.open(f"{name}{_ARRAY}", "w", force_zip64=True) as file:
                format.write_array(file, values, allow_pickle=False)


def load_result(path: Path) -> Result:
    """What `dump_result` wrote."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        facts = json.loads(archive.read(_FACTS))
        files = [name for name in archive.namelist() if name != _FACTS]
        arrays = {name.removesuffix(_ARRAY): _array(archive.read(name)) for name in files}
    outputs = {name.removeprefix(_OUTPUT): each for name, each in arrays.items() if name.startswith(_OUTPUT)}
    return Result({name: each for name, each in arrays.items() if not name.startswith(_OUTPUT)}, facts, outputs)


def _array(content: bytes) -> NDArray[Any]:
    import io

    from numpy.lib import format

    array: NDArray[Any] = format.read_array(io.BytesIO(content), allow_pickle=False)
    return array
