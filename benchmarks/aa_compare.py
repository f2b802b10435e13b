"""`makeweight compare A A`: how much measuring it takes to answer "within" for a model beside itself.

Target: under 1 s on an idle machine. The same question with +20 % and +100 % work, for scale.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def conv_net(path: Path, layers: int, width: int = 32, size: int = 24) -> None:
    """A stack of equal 3x3 convolutions, so that time goes with the number of layers."""
    rng = np.random.default_rng(0)
    nodes, weights, channels, previous = [], [], 1, "image"
    for index in range(layers):
        weight = (rng.standard_normal((width, channels, 3, 3)) / 10).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{index}"))
        nodes.append(helper.make_node("Conv", [previous, f"w{index}"], [f"c{index}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"r{index}"]))
        previous, channels = f"r{index}", width
    nodes.append(helper.make_node("GlobalAveragePool", [previous], ["scores"]))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, size, size])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", width, 1, 1])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = {layers: Path(folder, f"{layers}.onnx") for layers in (5, 6, 10)}
        for layers, path in paths.items():
            conv_net(path, layers)
        for layers in paths:
            command = [sys.executable, "-m", "makeweight", "compare", str(paths[5]), str(paths[layers]), "--json"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            answer = json.loads(done.stdout)
            print(
                f"{layers} layers beside 5: {answer['verdict']:12} ratio {answer['ratio']:.3f} "
                f"[{answer['interval'][0]:.3f}, {answer['interval'][1]:.3f}] noise floor {answer['noise_floor']:.1%} "
                f"in {answer['seconds']:.2f} s of measuring, {answer['pairs']} pairs"
            )


if __name__ == "__main__":
    main()
