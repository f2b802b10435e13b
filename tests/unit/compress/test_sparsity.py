"""Which weights become zero, counted and compared by sorting."""

import numpy as np
import pytest

from makeweight.compress.sparsity import scheduled, smallest, two_of_four

_RNG = np.random.default_rng(0)


def test_the_share_of_zeros_rises_by_the_cube_of_what_is_left_to_do() -> None:
    # 0.8 - 0.8 (1 - t / 4)^3 for t of 1 to 4
    assert [scheduled(0.8, number, 4) for number in (1, 2, 3, 4)] == pytest.approx([0.4625, 0.7, 0.7875, 0.8])
    assert scheduled(0.9, 1, 1) == 0.9


def test_each_layer_loses_its_share_or_all_lose_it_together() -> None:
    arrays = {"large": 10 + _RNG.random((4, 5)), "small": _RNG.random((3, 4, 5))}
    alone, together = smallest(arrays, 0.5, together=False), smallest(arrays, 0.5, together=True)
    for name, array in arrays.items():
        assert alone[name].sum() == array.size / 2
        assert np.array_equal(alone[name], array < np.median(array))
    # 40 of 80, and all 20 large ones are larger than any of the others
    assert (together["large"].sum(), together["small"].sum()) == (0, 40)
    limit = np.sort(arrays["small"], axis=None)[40]
    assert np.array_equal(together["small"], arrays["small"] < limit)


def test_so_many_become_zero_where_all_are_alike() -> None:
    assert smallest({"w": np.ones((10, 10))}, 0.37, together=False)["w"].sum() == 37
    assert smallest({"w": np.ones((2, 2))}, 0.1, together=False)["w"].sum() == 0


@pytest.mark.parametrize(("shape", "axis"), [((6, 8), 1), ((8, 6, 3, 3), 0), ((5, 4, 3, 3), 1)])
def test_two_of_every_four_along_an_axis(shape: tuple[int, ...], axis: int) -> None:
    array = _RNG.random(shape)
    zeros = two_of_four(array, axis)
    for place in np.ndindex(*shape):
        first = place[axis] // 4 * 4
        four = [array[(*place[:axis], first + step, *place[axis + 1 :])] for step in range(4)]
        assert zeros[place] == (array[place] < sorted(four)[2])
