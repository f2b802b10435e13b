"""The constants of a graph, read and replaced so that nothing else that reads one is changed by it."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from makeweight.runtimes.onnxruntime.graphs import readers


class Constants:
    """The float32 constants of a graph by name, and how often each tensor is read."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._stored = {
            tensor.name: tensor for tensor in graph.initializer if tensor.data_type == 1 and 0 not in tensor.dims
        }
        self.readers = readers(graph)

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def __getitem__(self, name: str) -> NDArray[Any]:
        from onnx import numpy_helper

        values: NDArray[Any] = numpy_helper.to_array(self._stored[name])
        return values

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._stored[name].dims)

    def give(self, node: Any, index: int, values: NDArray[Any]) -> None:
        """Let one node read these values: in place where nobody else reads the constant, else from one of its own."""
        from onnx import numpy_helper

        name = node.input[index]
        if self.readers[name] == 1:
            self._stored[name].CopyFrom(numpy_helper.from_array(values, name))
            return
        own = f"{name}_of_{node.name}"
        self._graph.initializer.append(numpy_helper.from_array(values, own))
        self._stored[own] = self._graph.initializer[-1]
        self.readers.update({name: -1, own: 1})
        node.input[index] = own
