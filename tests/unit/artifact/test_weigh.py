"""A model file on the scales."""

import hashlib
import zlib
from pathlib import Path

from makeweight.artifact.weigh import weigh
from makeweight.runtimes.runtime import GraphFacts


class Scales:
    def inspect(self, path: Path) -> GraphFacts:
        return GraphFacts(parameters=7, macs=None, operators={"Conv": 2}, quantized=1, floating=1)


def test_bytes_are_the_files_and_the_rest_is_the_runtimes(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    content = bytes(range(256)) * 40
    path.write_bytes(content)
    assert weigh(path, Scales()) == {  # type: ignore[arg-type]
        "file": "model.onnx",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": 10240,
        "size_compressed": len(zlib.compress(content, 9)),
        "parameters": 7,
        "macs": None,
        "operators": {"Conv": 2},
        "quantized": 1,
        "floating": 1,
    }
