"""Gradients of tables of vectors that were made with `sparse=True`: they have the rows alone that were read, which
neither AdamW nor what looks at gradients takes. https://docs.pytorch.org/docs/stable/sparse.html
"""

from __future__ import annotations

from typing import Any


def whole(gradient: Any) -> Any:
    """The same gradient of the parameter's shape, with zero for what was not read."""
    return gradient.to_dense() if gradient.is_sparse else gradient
