"""The shape of makeweight.yaml: what may stand where, as pydantic models. `project.py` makes sense of it."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    create_model,
    model_validator,
)

from makeweight import registry
from makeweight.budget.metric import Metric, TaskKind
from makeweight.budget.quantity import BYTES, DURATION, FRACTION, POINTS, Dimension, parse
from makeweight.budget.rule import Budget

# Names become DVC stage names, folders and parts of metric paths, so no dot, slash, space or `@`.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
# Folders and files of reports/ that a variant or a device must not shadow.
RESERVED_VARIANTS = frozenset({"baseline", "devices", "plots", "best", "search", "history"})
RESERVED_DEVICES = frozenset({"evaluate", "reference", "flips", "compressed"})


def _name(reserved: frozenset[str]) -> AfterValidator:
    def check(text: str) -> str:
        if not NAME.fullmatch(text):
            raise ValueError(f"`{text}` is no usable name: letters, digits, `-` and `_`, at most 63")
        if text in reserved:
            raise ValueError(f"`{text}` is a name that makeweight uses itself; choose another")
        return text

    return AfterValidator(check)


def callable_path(text: str) -> str:
    module, colon, attribute = text.partition(":")
    if module.endswith(".py"):
        named = module.removesuffix(".py").removeprefix("./").replace("/", ".")
        raise ValueError(f"`{text}` names a file; write its module, `{named}:{attribute or 'function'}`")
    if not (colon and all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))):
        raise ValueError(f"`{text}` is no `module:callable`, such as `digits.data:load`")
    return text


def is_callable_path(text: str) -> bool:
    try:
        callable_path(text)
    except ValueError:
        return False
    return True


def _quantity(dimension: Dimension) -> BeforeValidator:
    return BeforeValidator(lambda text: parse(text, dimension))


PARAMETERS = ("name", "model", "sources", "data", "task", "seed", "variants", "devices")
"""What DVC reads of the file as parameters and template variables: it fails when one is absent, default or not."""

CallablePath = Annotated[str, AfterValidator(callable_path)]
VariantName = Annotated[str, _name(RESERVED_VARIANTS)]
DeviceName = Annotated[str, _name(RESERVED_DEVICES)]
Share = Annotated[float, _quantity(FRACTION), WithJsonSchema({"type": ["string", "number"], "examples": ["5 %"]})]
Wait = Annotated[
    float, _quantity(DURATION), Field(gt=0, le=31_536_000), WithJsonSchema({"type": "string", "examples": ["6 h"]})
]
Bytes = Annotated[float, _quantity(BYTES), WithJsonSchema({"type": "string", "examples": ["2 GB"]})]
Silence = Literal["hold", "rollback"]
Points = Annotated[float, _quantity(POINTS), WithJsonSchema({"type": "string", "examples": ["0.5 pt"]})]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _constant(value: Any) -> Any:
    if isinstance(value, list) and value:
        return [_constant(each) for each in value]
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise ValueError(f"a number, or a list of numbers, is wanted here, not `{value}`")


Constant = Annotated[Any, AfterValidator(_constant), WithJsonSchema({"type": ["number", "boolean", "array"]})]

_BATCH = "N"
"""What every page calls the batch."""

RUNTIME = "onnxruntime"
"""What a model runs on where nothing is said."""


class ModelSettings(Section):
    """The reference model: a PyTorch module (`build` and `weights`, or a program), or one model file.

    A model file stands under what it ends in, `onnx: model.onnx`: there is a key for every runtime's suffix, also of
    those that others bring, so the fields here do not name them.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, str]

    build: CallablePath | None = Field(None, description="module:callable that returns the torch.nn.Module.")
    weights: str | None = Field(
        None, description="Its weights: a state dict or a checkpoint, as torch.save or safetensors wrote it."
    )
    weights_key: str | None = Field(
        None,
        min_length=1,
        description="Which part of a checkpoint the weights are, such as `ema` (default: what fits the module).",
    )
    pt2: str | None = Field(
        None, description="A torch.export program with its weights, in place of `build` and `weights`."
    )
    inputs: dict[str, list[int | str]] = Field(
        default_factory=dict,
        description="Input names and shapes, the batch first; a letter is a free size, one over all inputs: "
        "{tokens: [N, T], mask: [N, T]}.",
    )
    largest: dict[str, Annotated[int, Field(ge=2)]] = Field(
        default_factory=dict,
        description="What a free size besides the batch is at most, {T: 64}: ExecuTorch plans memory for it.",
    )
    constants: dict[str, Constant] = Field(
        default_factory=dict,
        description="Inputs that are fed with the same number for every example, or with the same list: {sr: 16000}.",
    )
    states: list[str] = Field(
        default_factory=list, description="Inputs that hold what an earlier call left: fed with zeros."
    )
    output: str | None = Field(None, description="Which output holds the scores (default: the first).")
    batch: int | None = Field(
        None,
        ge=1,
        description="How many examples it is asked for at once where it is served (default: one): latency is measured "
        "so, and so are answers that depend on the examples beside them.",
    )
    runtime: str = Field(
        RUNTIME,
        description="What the baseline runs on, and variants unless they say otherwise (of a file: what opens it).",
    )

    @model_validator(mode="before")
    @classmethod
    def _opened_by(cls, data: Any) -> Any:
        """A model file says what runs it."""
        if not isinstance(data, Mapping) or "runtime" in data:
            return data
        opened_by = [registry.runtime_of(f".{key}") for key in cls.file_keys(data)]
        return {**data, "runtime": opened_by[0]} if opened_by else data

    @classmethod
    def other_keys(cls, data: Mapping[Any, Any]) -> list[str]:
        """Those of a section as it is written that are no fields here: each names a model file, or nothing."""
        return [str(key) for key in data if key not in cls.model_fields]

    @classmethod
    def file_keys(cls, data: Mapping[Any, Any]) -> list[str]:
        """Those of a section as it is written that name a model file."""
        return [key for key in cls.other_keys(data) if registry.runtime_of(f".{key}") is not None]

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = self.file_keys(self.__pydantic_extra__)
        if self.pt2:
            given.append("pt2")
        if self.build or self.weights:
            given.append("build + weights")
        if len(given) != 1:
            says = f"it has {' and '.join(given)}" if given else "it has none"
            raise ValueError(
                f"a model has exactly one source, `build` + `weights`, `pt2` or a file such as `onnx`; {says}"
            )
        if bool(self.build) != bool(self.weights):
            missing = "weights" if self.build else "build"
            raise ValueError(f"`build` and `weights` go together; `{missing}` is missing")
        if self.weights_key and not self.weights:
            raise ValueError("`weights_key` says which part of `weights` is meant, and there are none")
        if self.file is None and not self.inputs:
            raise ValueError(
                "a PyTorch module needs `inputs` to be exported, such as `inputs: {image: [N, 3, 32, 32]}`"
            )
        return self

    @model_validator(mode="after")
    def _inputs_hold_together(self) -> Self:
        beside = {**dict.fromkeys(self.states, "states"), **dict.fromkeys(self.constants, "constants")}
        if both := sorted(set(self.states) & set(self.constants)):
            raise ValueError(f"`{both[0]}` is a constant and a state; it can be one of the two")
        if unknown := [name for name in self.states if self.file is None and name not in self.inputs]:
            raise ValueError(f"states: `{unknown[0]}` needs a shape among `inputs`, such as `{unknown[0]}: [1, N, 64]`")
        asked = {name: shape for name, shape in self.inputs.items() if name not in beside}
        if self.inputs and not asked:
            raise ValueError("inputs: all of them are constants or states, and none is left for the examples")
        for name, shape in self.inputs.items():
            if not shape and name in asked:
                raise ValueError(f"inputs.{name}: a shape begins with the batch, such as `[N, 8]`")
            if any(isinstance(size, int) and size < 1 for size in shape):
                raise ValueError(f"inputs.{name}: every size is at least 1")
            if odd := [size for size in shape if isinstance(size, str) and not size.isidentifier()]:
                raise ValueError(f"inputs.{name}: a size is a number or a letter, and `{odd[0]}` is neither")
        given = {size for shape in asked.values() for size in shape}
        batch = next((shape[0] for shape in asked.values()), None)
        if odd := [letter for letter in self.largest if letter == batch or letter not in given]:
            raise ValueError(f"largest: `{odd[0]}` is no free size of `inputs` besides the batch")
        for name, shape in self.inputs.items():
            free = [size for size in shape if isinstance(size, str)]
            if name in beside and (lost := [size for size in free if size not in given]):
                raise ValueError(f"inputs.{name}: no example says what `{lost[0]}` is; give a number")
            if name in asked and (shape[0] != batch or {batch, _BATCH} & set(map(str, shape[1:]))):
                raise ValueError(
                    f"inputs.{name}: the batch stands first, the same in every input that examples feed; transpose in "
                    "forward(), and declare what begins otherwise under `constants` or `states`"
                )
        return self

    @property
    def file(self) -> str | None:
        """The model file; None where it begins as a PyTorch module."""
        return next(iter(self.__pydantic_extra__.values()), None)

    @property
    def of_module(self) -> str | None:
        """The file that a PyTorch module is read from: its weights, or all of it."""
        return self.weights or self.pt2

    @property
    def files(self) -> tuple[str, ...]:
        """Whatever the model is read from."""
        return tuple(path for path in (self.of_module, self.file) if path is not None)


class Calibration(Section):
    """Examples that quantization takes its ranges from."""

    split: Literal["train", "validation", "calibration"] = Field("train", description="Never the test split.")
    samples: int = Field(256, ge=1, description="How many, drawn with the project's seed.")


SplitName = Literal["train", "validation", "calibration", "test"]
SPLITS: tuple[str, ...] = get_args(SplitName)


class ImageSettings(Section):
    """Pictures by split: each a folder with a folder for each class, or a CSV with the columns file and target."""

    train: str | None = None
    validation: str | None = None
    calibration: str | None = None
    test: str
    size: Annotated[int, Field(ge=1)] | tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = Field(
        description="Height and width that a picture is scaled and cut to: one number, or [height, width]."
    )
    mean: list[float] = Field(
        default_factory=lambda: [0.0] * 3, description="By channel, of pixels from 0 to 1; one number: grey pictures."
    )
    std: list[Annotated[float, Field(gt=0)]] = Field(
        default_factory=lambda: [1.0] * 3, description="What pixels less the mean are divided by."
    )

    @model_validator(mode="after")
    def _channels(self) -> Self:
        if len(self.mean) not in (1, 3) or len(self.std) not in (1, len(self.mean)):
            raise ValueError("`mean` and `std` have 3 numbers, red, green and blue, or 1 for grey pictures")
        return self

    @property
    def splits(self) -> dict[str, str]:
        """The places by split."""
        return {name: place for name in SPLITS if (place := getattr(self, name)) is not None}

    @property
    def height_and_width(self) -> tuple[int, int]:
        return (self.size, self.size) if isinstance(self.size, int) else self.size


class DataSettings(Section):
    """Where examples come from: a callable, .npz files or pictures by split."""

    load: CallablePath | None = Field(
        None,
        description="module:callable(split) -> a torch Dataset or DataLoader, (input, target) pairs, or (inputs, "
        "targets) arrays; splits: train, validation, test.",
    )
    npz: dict[SplitName, str] | None = Field(
        None, description="One .npz file a split: arrays by input name, and `target`."
    )
    images: ImageSettings | None = Field(None, description="Pictures by split, in folders or named in a CSV.")
    augment: CallablePath | list[Literal["crop", "flip"]] | None = Field(
        None,
        description="module:callable(inputs, targets, rng) -> (inputs, targets), on training batches only; of pictures "
        "also [crop, flip].",
    )
    workers: int = Field(0, ge=0, description="How many processes read examples (default: none beside our own).")
    examples: dict[Literal["train", "validation", "test"], Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict,
        description="How many examples a split has at most: the first ones of what `load` gives, which need not end.",
    )
    calibration: Calibration = Field(default_factory=Calibration)
    slices: CallablePath | None = Field(
        None, description="module:callable(split) -> for each example the name of its group, or None."
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(origin is not None for origin in (self.load, self.npz, self.images)) != 1:
            raise ValueError("data come from `load`, from `npz` or from `images`: give one of them")
        if isinstance(self.augment, list) and self.images is None:
            raise ValueError("`augment: [crop, flip]` goes with `images`; give a module:callable of your own")
        if self.npz is not None and "test" not in self.npz:
            raise ValueError("`npz` needs a `test` file: it is what accuracy is measured on")
        if self.examples and self.load is None:
            raise ValueError("`examples` goes with `load`")
        return self

    @property
    def places(self) -> Mapping[str, str]:
        """The declared files or folders by split; none where a callable loads them."""
        return self.images.splits if self.images else {str(split): path for split, path in (self.npz or {}).items()}


BoxFormat = Literal["xyxy", "xywh", "cxcywh"]
BoxRole = Literal["boxes", "scores", "labels", "count", "detections"]
"""What an output of a detector can hold: `count` says how many of the boxes are meant; `detections` are rows of box,
score and label."""
BOX_ROLES: tuple[str, ...] = get_args(BoxRole)
GO_WITH: dict[str, tuple[TaskKind, ...]] = {
    "threshold": ("multilabel", "segmentation"),
    "ignore_index": ("segmentation",),
    "outputs": ("detection",),
    "box_format": ("detection",),
    "metric": ("custom",),
    "better": ("custom",),
}
"""Keys of a task that go with some kinds only."""


KINDS = tuple(kind for kind in get_args(TaskKind) if kind != "custom")
"""The kinds of tasks that are named by a word; a metric of the user's own is named by its callable."""


class TaskSettings(Section):
    """What the model does, hence how its answers are judged."""

    kind: TaskKind = "classification"
    classes: list[str] | None = Field(
        None, description="Names of classes or labels, in the order of the model's outputs."
    )
    absent_classes: Literal["refuse", "allow"] = Field(
        "refuse", description="Whether a class may have no example in the test split."
    )
    threshold: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="Probability from which a label counts as given (multilabel; segmentation of two classes).",
    )
    ignore_index: int | None = Field(None, description="Target of the places that do not count (segmentation).")
    outputs: dict[BoxRole, str] | CallablePath | None = Field(
        None,
        description="Which outputs hold what of a detection, by role (boxes, scores, labels; default: those of these "
        "names), or module:callable(outputs) that decodes a batch of them.",
    )
    box_format: BoxFormat = Field("xyxy", description="What the four numbers of a box are, in answers and targets.")
    metric: CallablePath | None = Field(
        None,
        description="module:callable(outputs, targets), for kind `custom`: all outputs by name; it returns one score "
        "per example, or one number.",
    )
    better: Literal["higher", "lower"] = Field("higher", description="Which way the custom metric is better.")

    @model_validator(mode="after")
    def _keys_of_the_kind(self) -> Self:
        if (self.kind == "custom") != (self.metric is not None):
            raise ValueError("`metric` and `kind: custom` go together")
        for name, kinds in GO_WITH.items():
            if name in self.model_fields_set and self.kind not in kinds:
                raise ValueError(f"`{name}` goes with {' and '.join(kinds)}, and the task is {self.kind}")
        return self

    @property
    def ranked(self) -> frozenset[str]:
        """Outputs that list what was found by its score: what stands at one place in two models' answers may be two
        things."""
        if self.kind != "detection" or isinstance(self.outputs, str):
            return frozenset()
        roles: dict[Any, str] = {"boxes": "boxes", "labels": "labels", **(self.outputs or {})}
        return frozenset(name for role, name in roles.items() if role != "scores")

    def has(self, metric: Metric) -> bool:
        """Whether a model of this task has such a figure."""
        two = self.kind != "classification" or len(self.classes or ()) == 2
        return self.kind in metric.tasks and (two or not metric.of_two_classes)

    @model_validator(mode="after")
    def _roles_hold_together(self) -> Self:
        roles = set(self.outputs) if isinstance(self.outputs, dict) else set()
        if "detections" in roles and roles & {"boxes", "scores", "labels"}:
            raise ValueError("`outputs`: `detections` has boxes, scores and labels in it; drop those")
        return self


def _task_shorthand(value: object) -> object:
    if isinstance(value, str):
        return {"kind": "custom", "metric": value} if ":" in value else {"kind": value}
    return value


class VariantSettings(Section):
    """One way to compress the model: steps applied in order."""

    runtime: str | None = Field(None, description="What it ships on (default: the model's).")
    steps: list[Any] = Field(
        description="Techniques in order, each `name` or `name: {options}`; none where another runtime is all."
    )


class SearchRecipeSettings(Section):
    """A recipe with some of it left open: where a list stands, `makeweight search` chooses; `{from: 0.25, to: 0.75}` is
    any number between."""

    runtime: str | list[str] | None = Field(None, description="What it ships on, or a list of such to choose from.")
    steps: list[Any] = Field(
        description="Steps as under `variants`; a list in place of one is a choice, in which `null` is no step."
    )


class SearchSettings(Section):
    """How recipes are searched that fit the budget."""

    trials: int = Field(24, ge=1, le=100_000, description="How many recipes are tried at most.")
    hours: float | None = Field(None, gt=0, allow_inf_nan=False, description="After so long nothing new is begun.")
    recipes: dict[str, SearchRecipeSettings] | None = Field(
        None,
        min_length=1,
        description="Recipes of which some is open, by any name (default: what every technique says of itself).",
    )
    sampler: Literal["tpe", "nsga2"] = Field(
        "tpe", description="What proposes recipes from those tried: a tree-structured Parzen estimator, or NSGA-II."
    )
    margin: Share = Field(
        0.1,
        ge=0,
        lt=1,
        description="It stops where a recipe stays so far clear of every limit, as a share of the limit.",
    )
    keep: int = Field(1, ge=1, description="How many of the recipes that pass are written down as variants.")
    workers: int = Field(1, ge=1, le=1024, description="Trials at the same time, each in a process of its own.")
    cpus: float = Field(
        1, gt=0, allow_inf_nan=False, description="On a Ray cluster, the processors that a trial takes."
    )
    memory: Bytes | None = Field(None, gt=0, description="On a Ray cluster, the memory that a trial takes.")


class PipelineCode(Section):
    """What is another around one variant than around the others."""

    preprocess: CallablePath | None = None
    postprocess: CallablePath | None = None


class PipelineSettings(Section):
    """What is around the model where it is served: timed with it, from a raw sample to what becomes of the answer."""

    preprocess: CallablePath = Field(
        description="module:callable(sample) -> a numpy array, or a mapping of them by input name; as the model takes "
        "it, of one example (the batch may be left out)."
    )
    postprocess: CallablePath | None = Field(
        None,
        description="module:callable(outputs), or (outputs, sample) -> anything; `outputs` is a mapping of arrays by "
        "output name, the batch first.",
    )
    samples: str | None = Field(
        None,
        min_length=1,
        description="Raw samples: a folder (or file), each file of which is one as bytes, or module:callable(split) -> "
        "bytes, texts, arrays or paths (default: the picture files of `data.images`).",
    )
    variants: dict[VariantName, PipelineCode] = Field(
        default_factory=dict, description="By variant, what it has instead; here, so that no recipe is made again."
    )

    def around(self, variant: str) -> tuple[str, str | None]:
        """The callables before and after a model."""
        own = self.variants.get(variant, PipelineCode())
        return own.preprocess or self.preprocess, own.postprocess or self.postprocess

    @property
    def place(self) -> str | None:
        """The file or folder of the samples; None where a callable gives them, or nothing is said."""
        return None if self.samples is None or is_callable_path(self.samples) else self.samples


class WaiverSettings(Section):
    """A broken rule let through, with reason and expiry; it counts only as it stands on the base branch."""

    rule: str
    variant: str | None = None
    reason: str = Field(min_length=1)
    until: date


class CanarySettings(Section):
    """How the variant is let into production; read by the monitors, not by the pipeline."""

    traffic: Share = 0.05
    false_rollback_rate: float = Field(0.001, gt=0, lt=1)
    max_accuracy_drop: Points | None = None
    target: dict[str, Any] | None = Field(None, description="What moves the traffic: `kind`, and options of its own.")
    steps: list[Share] = Field(
        default_factory=lambda: [0.05, 0.25, 0.5, 1.0],
        description="The shares of the traffic that a good canary goes through; with 100 % it becomes stable.",
    )
    step_for: Wait = Field(3600.0, description="For how long it has to be good at each share, such as `6 h`.")
    cooldown: Wait = Field(3600.0, description="After a rollback, for how long no canary goes further.")
    silence: Silence | dict[Literal["prometheus", "rules", "observers", "journal"], Silence] = Field(
        "hold",
        description="What is done where nothing is known: by why, or in any case. Prometheus does not answer, its "
        "rules are not evaluated, no process observes the model, the controller cannot write down what it decides.",
    )
    silence_for: Wait = Field(300.0, description="For how long nothing has to be known before that is done.")

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        if any(not before < after for before, after in itertools.pairwise([0.0, *self.steps])):
            raise ValueError("`steps` should rise, such as [5 %, 25 %, 50 %, 100 %]")
        return self


class Settings(Section):
    """makeweight.yaml: the model, its compressed variants, the devices they are measured on, and the budget."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="makeweight.yaml")

    name: str | None = Field(None, description="The project's name in reports (default: its folder's).")
    model: ModelSettings
    sources: list[str] = Field(
        default_factory=list, description="Your code, data and toolchain lock: a change re-runs what depends on it."
    )
    data: DataSettings
    task: Annotated[TaskSettings, BeforeValidator(_task_shorthand)] = Field(default_factory=TaskSettings)
    pipeline: PipelineSettings | None = None
    seed: int = Field(0, ge=0, lt=2**32)
    variants: dict[VariantName, VariantSettings] = Field(min_length=1)
    ship: str = Field("best", description="The variant that ships, or `best`: some variant passes every rule.")
    prefer: Literal["size", "latency", "accuracy"] = Field(
        "latency", description="With `ship: best`, what decides among the variants that pass."
    )
    devices: dict[DeviceName, dict[str, Any]] = Field(
        default_factory=lambda: {"local": {"kind": "local"}}, min_length=1
    )
    budget: Budget  # type: ignore[valid-type]
    waivers: list[WaiverSettings] = Field(default_factory=list)
    review: Literal["required"] | None = Field(
        None,
        description="`required`: a change to what is judged waits until somebody who may write has reviewed it; it "
        "counts only as it stands on the base branch.",
    )
    canary: CanarySettings | None = None
    search: SearchSettings = Field(default_factory=SearchSettings)


Beginning = create_model(
    "Beginning", __base__=Settings, variants=(dict[VariantName, VariantSettings], Field(default_factory=dict))
)
"""The same of a project that may have no variants yet."""
