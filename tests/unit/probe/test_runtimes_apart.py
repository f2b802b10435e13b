"""Importing one runtime never loads another: asked in a fresh process, since this one has them all."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from makeweight import registry
from makeweight.registry import BUILT_IN

# what several runtimes stand on, and a lowering of any of them loads
_SHARED = {"torch", "onnx", "numpy"}
_OWN = {
    name: {module.partition(".")[0] for module in part.modules} - _SHARED
    for name, part in BUILT_IN["runtime"].items()
    if part.dotted
}
_LOADED = """
import json, sys
from makeweight import registry
from makeweight.runtimes.format import FLOAT32
from makeweight_probe import sessions
runtime = registry.load("runtime", sys.argv[1])()
runtime.objection(FLOAT32, "module"), runtime.objection(FLOAT32, "graph")
at_rest = sorted({module.partition(".")[0] for module in sys.modules})
sessions.find(sys.argv[1]).warm_import()
print(json.dumps([at_rest, sorted({module.partition(".")[0] for module in sys.modules})]))
"""


@pytest.mark.parametrize("name", [name for name in _OWN if registry.load("runtime", name)().version() is not None])
def test_one_runtime_loads_nothing_of_another(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED, name], capture_output=True, text=True, check=True)
    at_rest, warm = json.loads(done.stdout)
    every = set().union(*_OWN.values()) | {"torch", "tensorflow", "jax"}
    assert not every & set(at_rest), "reading a configuration asks what a runtime offers, and loads none"
    assert _OWN[name] & set(warm), "its own is there"
    assert not (every - _OWN[name] - _SHARED) & set(warm)
