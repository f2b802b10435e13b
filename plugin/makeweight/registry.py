"""What can be plugged in: built-in parts by dotted path, third-party parts by entry point.

A part that is known but whose extra is not installed is refused by the extra's name.
Group names for third parties: `makeweight.techniques`, `makeweight.runtimes`, `makeweight.devices`,
`makeweight.programs` (what times a runtime's models on a device without Python, by the runtime's name),
`makeweight.targets`.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from makeweight_base.errors import MissingExtra, UsageError
from makeweight_base.installed import installed

Kind = Literal["technique", "runtime", "device", "program", "target"]


@dataclass(frozen=True)
class Part:
    """Where a built-in part lives, and what it stands on."""

    dotted: str
    """`module:name`."""
    extra: str | None = None
    modules: tuple[str, ...] = ()
    suffix: str | None = None
    """Of a runtime: what its model files end in."""


EXTRAS: dict[str, tuple[str, ...]] = {
    "dvc": ("dvc",),
    "onnx": ("onnx", "onnxruntime", "pillow"),
    "torch": ("torch", "onnxscript", "torch-pruning", "safetensors"),
    "litert": ("litert-torch", "ai-edge-litert", "ai-edge-quantizer"),
    "executorch": ("executorch", "torchao"),
    "detection": ("pycocotools",),
    "sign": ("cryptography",),
    "exporter": ("uvicorn", "starlette", "orjson"),
    "dashboards": ("grafana-foundation-sdk",),
    "kubernetes": ("lightkube",),
    "search": ("optuna",),
    "ray": ("ray",),
    "adb": ("adbutils",),
}
"""What each extra brings, by the name of its distribution."""

BUILT_IN: dict[Kind, dict[str, Part]] = {
    "technique": {
        "float16": Part("makeweight.compress.float16:Float16", "onnx", ("onnx", "onnxruntime")),
        "bfloat16": Part("makeweight.compress.bfloat16:Bfloat16", "onnx", ("onnx", "onnxruntime")),
        "quantize": Part("makeweight.compress.quantize:Quantize", "onnx", ("onnx", "onnxruntime")),
        "prune": Part("makeweight.compress.prune:Prune", "torch", ("torch", "torch_pruning")),
        "factorize": Part("makeweight.compress.factorize:Factorize", "torch", ("torch",)),
        "sparsify": Part("makeweight.compress.sparsify:Sparsify", "torch", ("torch",)),
        "cluster": Part("makeweight.compress.cluster:Cluster", "torch", ("torch",)),
        "qat": Part("makeweight.compress.qat:Qat", "torch", ("torch", "onnx", "onnxruntime")),
        "distill": Part("makeweight.compress.distill:Distill", "torch", ("torch", "torch_pruning")),
        "finetune": Part("makeweight.compress.finetune:Finetune", "torch", ("torch",)),
    },
    "runtime": {
        "onnxruntime": Part(
            "makeweight.runtimes.onnxruntime.runtime:OnnxRuntime", "onnx", ("onnx", "onnxruntime"), ".onnx"
        ),
        "litert": Part(
            "makeweight.runtimes.litert.runtime:LiteRt",
            "litert",
            ("litert_torch", "ai_edge_litert", "ai_edge_quantizer"),
            ".tflite",
        ),
        "executorch": Part(
            "makeweight.runtimes.executorch.runtime:Executorch",
            "executorch",
            ("torch", "torchao", "executorch"),
            ".pte",
        ),
    },
    "device": {
        "local": Part("makeweight.devices.local:Local"),
        "ssh": Part("makeweight.devices.ssh:Ssh"),
        "adb": Part("makeweight.devices.adb:Adb", "adb", ("adbutils",)),
        "command": Part("makeweight.devices.command:Command"),
    },
    "program": {
        "litert": Part("makeweight.programs.benchmark_model:BenchmarkModel"),
        "onnxruntime": Part("makeweight.programs.perf_test:PerfTest"),
        "executorch": Part("makeweight.programs.executor_runner:ExecutorRunner"),
    },
    "target": {
        "pointer": Part("makeweight_monitors.rollback.targets.pointer:PointerTarget"),
        "webhook": Part("makeweight_monitors.rollback.targets.webhook:WebhookTarget"),
        "haproxy": Part("makeweight_monitors.rollback.targets.haproxy:HaproxyTarget"),
        "nginx": Part("makeweight_monitors.rollback.targets.nginx:NginxTarget"),
        "github": Part("makeweight_monitors.rollback.targets.github:GithubTarget"),
        "argo-rollouts": Part(
            "makeweight_monitors.rollback.targets.argo_rollouts:ArgoRolloutsTarget", "kubernetes", ("lightkube",)
        ),
        "kserve": Part("makeweight_monitors.rollback.targets.kserve:KserveTarget", "kubernetes", ("lightkube",)),
    },
}


def names(kind: Kind) -> list[str]:
    """The parts of a kind that can be used: built in, then by entry point."""
    built_in = [*BUILT_IN[kind]]
    return built_in + [name for name in _entry_points(kind) if name not in built_in]


def offers(kind: Kind, name: str) -> bool:
    """Whether somebody does: no environment is searched for what is built in."""
    return name in BUILT_IN[kind] or name in _entry_points(kind)


def load(kind: Kind, name: str) -> Any:
    """The class behind a name. Loading one needs no extra: that is asked for by `require`, when it is put to work.

    Raises:
        UsageError: nobody offers it (a near name is suggested).
    """
    part = BUILT_IN[kind].get(name)
    if part is not None:
        module, _, attribute = part.dotted.partition(":")
        return getattr(importlib.import_module(module), attribute)
    entries = _entry_points(kind)
    if name in entries:
        try:
            return entries[name].load()
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"the {kind} `{name}` is installed but cannot be imported: {error}",
                do="Install what it misses, or ask its authors.",
            ) from error
    available = names(kind)
    near = difflib.get_close_matches(name, available, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there is {', '.join(available)}"
    raise UsageError(f"unknown {kind} `{name}`; {hint}")


def require(kind: Kind, name: str) -> None:
    """Refuse a part whose extra is not installed.

    Raises:
        MissingExtra: naming the `pip install` that brings it.
    """
    part = BUILT_IN[kind].get(name)
    if part and part.extra and any(importlib.util.find_spec(module) is None for module in part.modules):
        raise MissingExtra(f"the {kind} `{name}`", part.extra)


def require_extra(what: str, extra: str) -> None:
    """Refuse something that is no part, but stands on an extra.

    Raises:
        MissingExtra: naming the `pip install` that brings it.
    """
    if any(installed(package) is None for package in EXTRAS[extra]):
        raise MissingExtra(what, extra)


def ready(kind: Kind, name: str) -> Any:
    """The class behind a name, with its extra installed: what puts a part to work calls this.

    Raises:
        UsageError, MissingExtra: see `load` and `require`.
    """
    require(kind, name)
    return load(kind, name)


def runtime_of(suffix: str) -> str | None:
    """The name of the runtime that opens files that end so, such as `.onnx`; None where nobody knows one."""
    # no environment is searched for those that are built in
    return _built_in_suffixes().get(suffix) or suffixes().get(suffix)


def suffixes() -> dict[str, str]:
    """What model files end in, with the runtime that opens such: built in, then by entry point."""
    built_in = _built_in_suffixes()
    others = (name for name in _entry_points("runtime") if name not in built_in.values())
    brought = {load("runtime", name).suffix: name for name in others}
    return {**built_in, **{suffix: name for suffix, name in brought.items() if suffix not in built_in}}


def _built_in_suffixes() -> dict[str, str]:
    return {part.suffix: name for name, part in BUILT_IN["runtime"].items() if part.suffix}


def extra_of(kind: Kind, name: str) -> str | None:
    """The extra that brings a part; None for one that needs none, or is somebody else's."""
    part = BUILT_IN[kind].get(name)
    return None if part is None else part.extra


def _entry_points(kind: Kind) -> dict[str, Any]:
    from importlib.metadata import entry_points  # slow on large environments; only strangers' parts need it

    return _found(entry_points, f"makeweight.{kind}s", tuple(sys.path))


@cache
def _found(search: Callable[..., Iterable[Any]], group: str, _: tuple[str, ...]) -> dict[str, Any]:
    """Once for what is searched: it takes as long as a whole small verb."""
    return {entry.name: entry for entry in search(group=group)}
