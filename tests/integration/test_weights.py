"""Weights as trainers and wrappers leave them, loaded into the module that they are of."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from makeweight.user import weights
from makeweight.user.unwrapped import unwrapped
from makeweight_base.errors import UsageError


def net() -> Any:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(32, 3))


class Tied(nn.Module):
    """One parameter under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 4)
        self.head = nn.Linear(4, 10, bias=False)
        self.head.weight = self.embedding.weight


class Keeping(nn.Module):
    """With state that is no tensor, and a version of its own."""

    _version = 3

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def get_extra_state(self) -> Any:
        return {"seen": 7}

    def set_extra_state(self, state: Any) -> None:
        self.seen = state["seen"]

    def _load_from_state_dict(self, state: Any, prefix: str, versions: Any, *rest: Any) -> None:
        assert versions.get("version") == 3
        super()._load_from_state_dict(state, prefix, versions, *rest)


STATE = {name: value + 0.5 if value.is_floating_point() else value for name, value in net().state_dict().items()}


def under(prefix: str, state: dict[str, Any] = STATE) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in state.items()}


def averaged() -> Any:
    module = net()
    module.load_state_dict(STATE)
    return torch.optim.swa_utils.AveragedModel(module).state_dict()


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., tuple[str, Any]]:
    """Save something, load it into a module, and give both where it lay and the module."""

    def load(content: Any, module: Any = None, key: str | None = None) -> tuple[str, Any]:
        path = tmp_path / "weights.pt"
        if content is not None:
            torch.save(content, path)
        module = net() if module is None else module
        return weights.load(module, path, key), module

    return load


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (STATE, ""),
        (under("module"), "module"),
        (under("_orig_mod"), ""),
        (under("module._orig_mod"), "module"),
        ({name.replace("0.", "0._orig_mod.", 1): value for name, value in STATE.items()}, ""),
        ({name.replace("0.", "0.module.", 1): value for name, value in STATE.items()}, ""),
        (averaged(), "module"),
        ({"state_dict": {**under("net"), "loss.weight": torch.ones(3)}}, "state_dict.net"),
        ({"model": {"ema": STATE}}, "model.ema"),
        ({"args": argparse.Namespace(lr=0.1), "best": np.float64(3), "at": Path("x"), "net": STATE}, "net"),
        ({name: value for name, value in STATE.items() if "num_batches" not in name}, ""),
        (under("module", {name: value for name, value in STATE.items() if "num_batches" not in name}), "module"),
        ({name: value.double() if value.is_floating_point() else value for name, value in STATE.items()}, ""),
    ],
    ids=[
        "state dict",
        "data parallel",
        "compiled",
        "both",
        "a layer compiled",
        "a layer in parallel",
        "averaged",
        "trainer with a loss",
        "deep",
        "options beside",
        "before counts of batches",
        "the same in parallel",
        "float64",
    ],
)
def test_what_fits_is_loaded(loaded: Any, content: Any, part: str) -> None:
    found, module = loaded(content)
    assert found == part
    _holds_what_was_saved(module)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (lambda optimizer: {"epoch": 3, "model_state_dict": STATE, "optimizer": optimizer}, "model_state_dict"),
        (lambda optimizer: [STATE, optimizer], "0"),
    ],
    ids=["checkpoint", "list"],
)
def test_what_fits_is_loaded_from_beside_an_optimizer(loaded: Any, content: Callable[[Any], Any], part: str) -> None:
    # made here: with its first optimizer torch imports its compiler, which takes seconds wherever tests are collected
    found, module = loaded(content(torch.optim.Adam(net().parameters()).state_dict()))
    assert found == part
    _holds_what_was_saved(module)


def _holds_what_was_saved(module: Any) -> None:
    for name, value in module.state_dict().items():
        if "num_batches" not in name:
            assert torch.equal(value, STATE[name].to(value.dtype)), name


def test_a_module_that_is_compiled_itself(loaded: Any) -> None:
    _, module = loaded(STATE, torch.compile(net()))
    assert torch.equal(module.state_dict()["_orig_mod.3.bias"], STATE["3.bias"])


def test_what_makes_a_module_faster_is_taken_off_at_any_depth() -> None:
    inner, outer = nn.Linear(2, 2), nn.Sequential(nn.ReLU())
    outer.append(torch.compile(inner))
    outer.append(nn.DataParallel(nn.Sequential(torch.compile(nn.Linear(2, 2)))))
    outer[0].compile()
    bare = unwrapped(nn.DataParallel(torch.compile(outer)))
    assert bare is outer
    assert bare[1] is inner
    assert [type(part) for part in bare] == [nn.ReLU, nn.Linear, nn.Sequential]
    assert list(bare.state_dict()) == ["1.weight", "1.bias", "2.0.weight", "2.0.bias"]
    assert bare[0]._compiled_call_impl is None
    assert unwrapped(inner) is inner


def test_infinity_is_what_masks_hold_and_weights_do_not(loaded: Any) -> None:
    class Masking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)
            self.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))

    state = Masking().state_dict()
    _, module = loaded(state, Masking())
    assert module.mask[0].tolist() == [0, -torch.inf, -torch.inf]
    for name, value in (("mask", torch.nan), ("norm.running_var", torch.inf), ("norm.weight", -torch.inf)):
        with pytest.raises(UsageError, match=f"the weights hold NaN or infinity: {name}"):
            loaded({**state, name: torch.full_like(state[name], value)}, Masking())


def test_safetensors_by_content_whatever_it_is_called(loaded: Any, tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "weights.pt")
    _, module = loaded(None)
    assert torch.equal(module.state_dict()["0.weight"], STATE["0.weight"])
    whole = (tmp_path / "weights.pt").read_bytes()
    (tmp_path / "weights.pt").write_bytes(whole[:-5])
    with pytest.raises(UsageError, match="the weights cannot be read"):
        loaded(None)


def test_a_shared_weight_is_stored_once(loaded: Any, tmp_path: Path) -> None:
    trained = Tied()
    save_model(trained, str(tmp_path / "weights.pt"))
    _, module = loaded(None, Tied())
    assert torch.equal(module.head.weight, trained.embedding.weight)


def test_state_of_a_modules_own_and_its_version(loaded: Any) -> None:
    part, module = loaded({"model": Keeping().state_dict(), "epoch": 1}, Keeping())
    assert (part, module.seen) == ("model", 7)


def test_of_several_that_fit_none_is_taken_until_it_is_said_which(loaded: Any) -> None:
    other = {name: value + 1 for name, value in STATE.items()}
    both = {"model": STATE, "ema": under("module", other)}
    with pytest.raises(UsageError) as caught:
        loaded(both)
    assert caught.value.what == "several parts of the file fit the module: `model`, `ema.module`"
    assert caught.value.where == "makeweight.yaml: model.weights_key"
    part, module = loaded(both, key="ema")
    assert part == "ema.module"
    assert torch.equal(module.state_dict()["3.bias"], other["3.bias"])


@pytest.mark.parametrize(
    ("content", "key", "says"),
    [
        ({"model": STATE}, "ema", "the file has no weights under `ema`; it has model"),
        (
            {"model": {**STATE, "3.bias": torch.ones(10)}},
            None,
            "`model` of the file does not fit the module: 1 of another shape (3.bias is [10] for [3])",
        ),
        (
            {**STATE, "total_ops": torch.ones(1)},
            None,
            "the weights do not fit the module: 1 unexpected (total_ops)",
        ),
        (
            {**STATE, "3.weight": STATE["3.weight"].to(torch.int8)},
            None,
            "the weights do not fit the module: 3.weight holds int8 for float32",
        ),
    ],
    ids=["no such part", "shapes", "one too many", "integers"],
)
def test_what_does_not_fit_is_told(loaded: Any, content: Any, key: str | None, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(content, key=key)
    assert caught.value.what == says


class Ran:
    """What an attacker would pickle."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("ran"),))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_nothing_in_a_file_is_run(loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": STATE, "hook": Ran()}, tmp_path / "weights.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UsageError, match=r"holds more than tensors .*and is not loaded: it could run any code"):
        loaded(None)
    assert not (tmp_path / "ran").exists()


def test_what_holds_itself_is_refused(loaded: Any) -> None:
    ring: dict[str, Any] = {"model": STATE}
    ring["again"] = ring
    with pytest.raises(UsageError, match="nested too deeply"):
        loaded(ring)


def test_layers_that_wait_for_their_first_input_have_the_sizes_of_their_weights(tmp_path: Path) -> None:
    def waiting() -> Any:
        return nn.Sequential(
            nn.LazyConv2d(4, 3),
            nn.LazyBatchNorm2d(),
            nn.LazyConvTranspose2d(6, 3, groups=2),
            nn.Flatten(),
            nn.LazyLinear(3),
        )

    called, image = waiting().eval(), torch.rand(2, 2, 6, 6)
    wanted = called(image)
    torch.save(called.state_dict(), tmp_path / "net.pt")
    module = waiting().eval()
    weights.load(module, tmp_path / "net.pt", None)
    sizes = ("in_channels", "num_features", "in_channels", None, "in_features")
    assert [getattr(part, size) for part, size in zip(module, sizes, strict=True) if size] == [2, 4, 4, 216]
    assert torch.equal(module(image), wanted)
    assert [repr(part) for part in module] == [repr(part) for part in called]
