"""Benchmarks run rarely, so whether what they import of this project is still there is asked without running them."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
FILES = sorted(str(file.relative_to(BENCHMARKS)) for file in BENCHMARKS.rglob("*.py"))


@pytest.mark.parametrize("name", FILES)
def test_what_a_benchmark_imports_of_ours_is_there(name: str) -> None:
    imports = [
        node for node in ast.walk(ast.parse((BENCHMARKS / name).read_text())) if isinstance(node, ast.ImportFrom)
    ]
    wanted = [(node.module, each.name) for node in imports for each in node.names if node.level == 0 and node.module]
    for module, member in wanted:
        if module.startswith("makeweight"):
            assert hasattr(import_module(module), member) or find_spec(f"{module}.{member}"), (
                f"{module} has no {member}"
            )
