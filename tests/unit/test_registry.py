"""What can be plugged in: named, near-named, not out yet, not installed, and brought by others."""

import importlib.util
import inspect
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight import registry
from makeweight.project import reading
from makeweight.registry import BUILT_IN
from makeweight_base.errors import MissingExtra, UsageError
from makeweight_monitors.rollback.targets.target import Target


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, parts in BUILT_IN.items() for name in parts])
def test_everything_built_in_is_there_under_its_name(kind: Any, name: str) -> None:
    found = registry.load(kind, name)
    if kind == "technique":
        assert found.name == name
        assert hasattr(found(), "format" if found.sets_number_format else "apply")
        assert hasattr(found, "Options")
    elif kind == "runtime":
        assert found.name == name
        assert found.suffix == BUILT_IN["runtime"][name].suffix
    elif kind == "target":
        assert hasattr(found, "Options")
        for method in ("__init__", "get", "set", "verify", "finalize"):
            asked, offered = (inspect.signature(getattr(one, method)).parameters for one in (Target, found))
            assert [*offered] == [*asked], method
    elif kind == "program":
        assert all(isinstance(getattr(found(), said), str) for said in ("name", "feeds", "memory"))
        assert name in registry.names("runtime")
    else:
        assert "seconds" in found.Options.model_fields


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("technique", "quantise", "unknown technique `quantise`; did you mean `quantize`?"),
        (
            "technique",
            "zzz",
            "unknown technique `zzz`; there is float16, bfloat16, quantize, prune, factorize, sparsify, ",
        ),
        ("runtime", "onnx-runtime", "did you mean `onnxruntime`?"),
        ("device", "abd", "did you mean `adb`?"),
    ],
)
def test_what_is_not_there_is_told(kind: Any, name: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        registry.load(kind, name)
    assert said in str(refused.value)


def test_a_part_whose_extra_is_missing_names_the_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else object())
    registry.require("technique", "quantize")
    for name in ("prune", "finetune"):
        with pytest.raises(MissingExtra, match=r"`pip install 'makeweight\[torch\]'`"):
            registry.require("technique", name)
    registry.require("device", "local")
    registry.require("technique", "somebody's own")


def test_something_that_is_no_part_names_the_install_too(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.require_extra("a PyTorch module", "torch")
    monkeypatch.setattr(registry, "installed", lambda _: None)
    with pytest.raises(MissingExtra, match=r"a PyTorch module needs `pip install 'makeweight\[torch\]'`"):
        registry.require_extra("a PyTorch module", "torch")


def test_every_extra_is_known_with_what_it_brings() -> None:
    """`doctor` tells of each; those that only bring others are none of them."""
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    brought = {
        extra: {re.split(r"[\[<>=]", each)[0] for each in packages} - {"makeweight"}
        for extra, packages in declared["optional-dependencies"].items()
        if extra not in ("all", "demo", "dev")
    }
    assert {extra: set(packages) for extra, packages in registry.EXTRAS.items()} == brought


def test_a_file_is_opened_by_the_runtime_of_its_suffix(monkeypatch: pytest.MonkeyPatch) -> None:
    suffixes = (".onnx", ".tflite", ".pte", ".h5")
    assert [registry.runtime_of(suffix) for suffix in suffixes] == ["onnxruntime", "litert", "executorch", None]
    theirs = SimpleNamespace(suffix=".h5"), SimpleNamespace(suffix=".onnx")
    offered = [entry("keras", theirs[0]), entry("another", theirs[1])]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: offered if "runtimes" in group else [])
    assert [registry.runtime_of(suffix) for suffix in suffixes] == ["onnxruntime", "litert", "executorch", "keras"]
    assert set(registry.suffixes()) == set(suffixes)


class Theirs:
    """A technique of somebody else."""


def entry(name: str, loads: Any) -> SimpleNamespace:
    def load() -> Any:
        if isinstance(loads, Exception):
            raise loads
        return loads

    return SimpleNamespace(name=name, load=load)


def test_parts_of_others_come_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {
        "makeweight.techniques": [
            entry("binarize", Theirs),
            entry("broken", ImportError("no module named cuda")),
            entry("quantize", object),
        ]
    }
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: groups.get(group, []))
    assert registry.load("technique", "binarize") is Theirs
    built_in = [
        "float16",
        "bfloat16",
        "quantize",
        "prune",
        "factorize",
        "sparsify",
        "cluster",
        "qat",
        "distill",
        "finetune",
    ]
    assert registry.names("technique") == [*built_in, "binarize", "broken"]
    assert registry.load("technique", "quantize") is not object, "nobody takes the place of what is built in"
    with pytest.raises(UsageError, match="`broken` is installed but cannot be imported: no module named cuda"):
        registry.load("technique", "broken")
    with pytest.raises(UsageError, match=r"did you mean `binarize`\?"):
        registry.load("technique", "binarise")


def test_an_entry_point_to_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = [entry("binarize", AttributeError("module has no Binarize"))]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: wrong)
    with pytest.raises(UsageError, match="cannot be imported: module has no Binarize"):
        registry.load("technique", "binarize")


def test_no_environment_is_searched_for_what_is_built_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every verb would look at each package that is installed."""
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: pytest.fail("it was searched"))
    text = (
        "model: {onnx: m.onnx, runtime: onnxruntime}\n"
        "data: {npz: {test: t.npz, calibration: t.npz}}\n"
        "variants: {int8: {steps: [quantize]}}\n"
        "devices: {here: {kind: local}}\n"
        "budget: {size: {max: 1 MB}}\n"
    )
    assert reading.understand(text, "makeweight.yaml", tmp_path).model.runtime == "onnxruntime"
    assert all(registry.offers("runtime", name) for name in BUILT_IN["runtime"])
