"""A first makeweight.yaml: recipes that the model's source allows, and a budget that suits the task."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from makeweight import registry
from makeweight.compress import losses
from makeweight.config.settings import RUNTIME
from makeweight.layout import SCHEMA
from makeweight.pipeline import yamledit

Shape = list[int | str]

# What stands between a value and its comment until both are aligned. YAML escapes a tab within a value.
_NOTE = "\t# "


_TARGETS: Mapping[str, tuple[str, ...]] = {
    "classification": (),
    "multilabel": ("labels",),
    "regression": ("numbers",),
    "segmentation": ("height", "width"),
    "detection": ("boxes", "5"),
}
"""The sizes of a target in an .npz file behind the examples, by task; a metric of the user's own takes any."""


class Entry(NamedTuple):
    """A variant with its steps, or a metric with its limits, to begin with."""

    name: str
    value: Any
    meaning: str


@dataclass(frozen=True)
class Draft:
    """What is known of a model before its makeweight.yaml is written.

    Either `build` and `weights`, or `file`; either `load`, or `npz` by split, or `images`. `npz_is_guessed` says that
    the files are only a proposal.
    """

    name: str
    inputs: Mapping[str, Shape]
    constants: Mapping[str, int | float] = field(default_factory=dict)
    states: Sequence[str] = ()
    output: str | None = None
    build: str | None = None
    weights: str | None = None
    file: str | None = None
    runtime: str = RUNTIME
    load: str | None = None
    npz: Mapping[str, str] = field(default_factory=dict)
    npz_is_guessed: bool = False
    images: Mapping[str, Any] = field(default_factory=dict)
    task: str = "classification"
    sources: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Under which of the model's keys the file stands."""
        suffix = PurePosixPath(self.file or "").suffix.removeprefix(".")
        return suffix if suffix == "pt2" or registry.runtime_of(f".{suffix}") else "onnx"

    @property
    def calibrates(self) -> bool:
        return bool(self.load) or not self.places.keys().isdisjoint(("calibration", self.drawn_from))

    @property
    def places(self) -> Mapping[str, Any]:
        """What is known of splits that need no code."""
        return {**self.npz, **self.images}

    @property
    def drawn_from(self) -> str:
        """The split that calibration examples are drawn from, where they have none of their own."""
        return "validation" if "validation" in self.places and "train" not in self.places else "train"

    @property
    def variants(self) -> list[Entry]:
        """Every technique that the source and the data allow, alone; and pruned with int8 together."""
        static: dict[str, Any] = {"quantize": {"method": "static"}}
        dynamic: dict[str, Any] = {"quantize": {"method": "dynamic"}}
        found = [Entry("fp16", ["float16"], "half precision: half the size; faster only where the hardware has it")]
        if self.calibrates:
            found.append(Entry("int8", [static], "8-bit weights and activations, calibrated: usually the fastest"))
        found.append(
            Entry("int8-dynamic", [dynamic], "8-bit weights; reaches products (transformers), not convolutions")
        )
        if self.build and (self.load or "train" in self.places) and self.task in losses.OWN:
            prune: dict[str, Any] = {"prune": {"structure": "channel", "ratio": 0.5}}
            tune: dict[str, Any] = {"finetune": {"epochs": 3}}
            found += [
                Entry("slim", [prune, tune], "half the channels pruned away, then trained back"),
                Entry("slim-int8", [prune, tune, static], "both"),
            ]
        return found

    @property
    def budget(self) -> list[Entry]:
        """Limits that a sound compression meets, by what the task can be judged on."""
        quality = {
            "classification": [
                Entry("accuracy", {"max_drop": "1 pt"}, "against the baseline, on the same test examples"),
                Entry("worst_class_accuracy", {"max_drop": "5 pt"}, "the class that loses most"),
                Entry("negative_flips", {"max": "2 %"}, "examples that the baseline has right and the variant wrong"),
            ],
            "multilabel": [Entry("f1", {"max_drop": "1 pt"}, "mean over the labels, against the baseline's")],
            "segmentation": [Entry("miou", {"max_drop": "1 pt"}, "mean over the classes, against the baseline's")],
            "detection": [Entry("map", {"max_drop": "1 pt"}, "COCO's mean average precision, against the baseline's")],
            "regression": [
                Entry("rmse", {"max_ratio": 1.05}, "root mean square error, over the baseline's"),
                Entry("r2", {"max_drop": 0.01}, "share of the variance explained"),
            ],
        }
        custom = [Entry("metric", {"max_drop": 0.01}, "EDIT: in the unit of your own metric")]
        return [
            Entry("size", {"max_ratio": 0.6}, "bytes of the model file, over the baseline's"),
            *quality.get(self.task, custom),
            Entry("latency_p50", {"max_ratio": 1.05}, "median time of one inference, over the baseline's"),
        ]


def write(draft: Draft) -> str:
    """The text of makeweight.yaml, with comments that say what to do with each part."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(  # noqa: S701 - YAML, not HTML; the filters below quote what needs it
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["scalar"] = environment.filters["flow"] = yamledit.flow
    template = (Path(__file__).parent / "makeweight.yaml.j2").read_text(encoding="utf-8")
    return _aligned(environment.from_string(template).render(draft=draft, arrays=arrays, note=_NOTE, schema=SCHEMA))


def arrays(inputs: Mapping[str, Shape], split: str, task: str) -> str:
    """What an .npz file of a split has to hold."""
    shapes = [f"`{name}` [{', '.join(map(str, ('examples', *shape[1:])))}]" for name, shape in inputs.items()]
    target = f"`target` [{', '.join(('examples', *_TARGETS.get(task, ('...',))))}]"
    return "arrays " + " and ".join(shapes + ([] if split == "calibration" else [target]))


def _aligned(text: str) -> str:
    """Comments behind lines that follow each other, one below the other."""
    lines: list[str] = []
    for is_noted, group in itertools.groupby(text.split("\n"), lambda line: _NOTE in line):
        if not is_noted:
            lines += group
            continue
        noted = [line.split(_NOTE, 1) for line in group]
        width = max(len(code) for code, _ in noted)
        lines += [f"{code:<{width}}   # {comment}" for code, comment in noted]
    return "\n".join(lines)
