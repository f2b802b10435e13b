"""PyTorch's composite operators are looked up where others are registered than before, and no more often."""

from __future__ import annotations

from typing import Any

import pytest

from makeweight.runtimes import composites


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """A line for each time that all are looked up; so far nothing is known."""
    from torch._export import utils

    plain, times = utils._materialize_cpp_cia_ops, list[None]()
    monkeypatch.setattr(utils, "_materialize_cpp_cia_ops", lambda: (times.append(None), plain()))
    monkeypatch.setattr(composites, "_KNOWN", [])
    return times


def found() -> set[Any]:
    """Those that torch.export takes apart or leaves whole as it is told."""
    from torch._export import utils

    return set(utils._collect_all_valid_cia_ops())


def test_all_are_found_though_they_are_looked_up_once(looked_up: list[None]) -> None:
    by_torch = found()
    assert len(looked_up) > 1
    looked_up.clear()
    with composites.known_once():
        assert found() == by_torch
        assert found() == by_torch
    assert len(looked_up) == 1
    found()
    assert len(looked_up) > 1


def test_one_that_is_registered_meanwhile_is_found_and_lost_as_by_torch() -> None:
    import torch

    with composites.known_once():
        before = found()
        with torch.library._scoped_library("makeweight_tests", "FRAGMENT") as library:
            library.define("twice(Tensor x) -> Tensor")
            library.impl("twice", lambda x: 2 * x, "CompositeImplicitAutograd")
            assert {operator.name() for operator in found() - before} == {"makeweight_tests::twice"}
        assert found() == before


def test_another_version_of_torch_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._export import utils

    plain = utils._materialize_cpp_cia_ops
    monkeypatch.delattr("torch._C._dispatch_get_registrations_for_dispatch_key")
    with composites.known_once():
        assert utils._materialize_cpp_cia_ops is plain
