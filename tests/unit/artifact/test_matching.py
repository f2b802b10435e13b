"""Which port is which in another model, and arrays that are moved between their layouts."""

from __future__ import annotations

import numpy as np
import pytest

from makeweight.artifact.matching import Match, fed, matched, named_as
from makeweight.artifact.ports import Port, Shape


def ports(**shapes: Shape) -> list[Port]:
    return [Port(name, shape, "float32") for name, shape in shapes.items()]


def the(found: list[Match | None]) -> Match:
    (match,) = found
    assert match is not None
    return match


FIRST, LAST = ports(image=("N", 3, 8, 9)), ports(image=(1, 8, 9, 3))
FREE = ports(image=("N", 3, "h", "w")), ports(image=(1, None, None, 3))


@pytest.mark.parametrize(
    ("one", "other", "index", "told"),
    [
        (ports(x=("N", 4)), ports(y=("N", 4), x=("N", 4)), 1, []),
        (ports(x=("N", 4)), ports(args_0=(1, 4)), 0, ["`x` is `args_0` by its place"]),
        (FIRST, LAST, 0, ["`image` [N, 3, 8, 9] lies as [1, 8, 9, 3] there"]),
        (LAST, FIRST, 0, ["`image` [1, 8, 9, 3] lies as [N, 3, 8, 9] there"]),
        (*FREE, 0, ["`image` [N, 3, h, w] lies as [1, N, N, 3] there"]),
        (ports(x=("N", 4, 4, 4)), ports(x=(1, 4, 4, 4)), 0, []),
    ],
    ids=["by name", "by place", "channels last", "channels first", "free sizes", "the same either way"],
)
def test_a_port_is_found(one: list[Port], other: list[Port], index: int, told: list[str]) -> None:
    match = the(matched(one, other))
    assert (match.index, match.told, match.fits) == (index, told, True)


def test_what_has_no_counterpart_or_another_shape() -> None:
    assert matched(ports(a=(1,), b=(1,)), ports(c=(1,))) == [None, None]
    assert matched(ports(a=(1,), b=(1,)), ports(a=(1,), c=(1,)))[1] is None
    assert not the(matched(ports(x=("N", 4)), ports(x=("N", 5)))).fits
    assert not the(matched(ports(x=("N", 4)), ports(x=("N", 4, 1)))).fits
    assert the(matched(ports(x=("N", 4)), [Port("x", (), "float32", ranked=False)])).fits, "nobody knows its rank"


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (2, 3, 5), (2, 3, 5, 7, 11)], ids=["pictures", "rows", "volumes"])
def test_arrays_go_to_the_others_layout_and_back(shape: tuple[int, ...]) -> None:
    first = np.arange(np.prod(shape)).reshape(shape)
    last = np.moveaxis(first, 1, -1)
    for here, there in ((first, last), (last, first)):
        match = the(matched(ports(x=here.shape), ports(y=there.shape)))
        assert np.array_equal(fed({"x": here}, [match])["y"], there)
        assert match.axes is not None
        assert np.array_equal(np.transpose(there, match.axes), here)


def test_outputs_take_the_names_that_they_stand_for() -> None:
    own = named_as(ports(output_0=(1, 2), output_1=(3,)), ports(scores=(1, 2), boxes=(3,)))
    assert [(port.name, port.shape) for port in own] == [("scores", (1, 2)), ("boxes", (3,))]
    kept = ports(scores=(1,), more=(1,))
    assert named_as(kept, ports(scores=(1,), boxes=(1,))) == tuple(kept), "one is known by its name"
    assert named_as(kept, ports(boxes=(1,))) == tuple(kept), "nobody knows which"
