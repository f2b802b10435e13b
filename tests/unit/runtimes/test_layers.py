"""How a recipe names layers."""

import pytest

from makeweight.runtimes.layers import fits, unfit


@pytest.mark.parametrize(
    ("pattern", "layer", "meant"),
    [
        ("head", "head", True),
        ("blocks.1", "blocks.1.attention", True),
        ("blocks.1", "blocks.10.attention", False),
        ("*.attention", "blocks.1.attention", True),
        ("attention", "blocks.1.attention", False),
        ("blocks.1", "blocks.1.attention/node_MatMul_3", True),
        ("node_MatMul_3", "blocks.1.attention/node_MatMul_3", True),
        ("blocks.1.attention/node_MatMul_3", "blocks.1.attention/node_MatMul_3/MatMulAddFusion", True),
        ("/features", "/features/conv1/Conv", True),
        ("Head", "head", False),
        ("", "head", False),
    ],
)
def test_a_name_means_what_lies_in_it(pattern: str, layer: str, meant: bool) -> None:
    assert fits(pattern, layer) is meant


def test_what_fits_nothing_is_answered_with_what_is_like_it() -> None:
    layers = [f"blocks.{index}" for index in range(20)] + ["head"]
    assert unfit("heads", layers).startswith("`heads` fits no layer; there are head, blocks.0, ")
    assert unfit("heads", layers).endswith(", …")
