"""A module as a graph of OpenVINO's, in float32; and what NNCF makes of one.

https://docs.openvino.ai/2026/openvino-workflow/model-preparation.html
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from makeweight.artifact.ports import Feeds
from makeweight.runtimes import traced
from makeweight.runtimes.format import Format
from makeweight.runtimes.inputs import from_dict_to_dict
from makeweight.runtimes.runtime import Program, RecipeFailed
from makeweight_base.errors import UsageError, first_line
from makeweight_base.quiet import quiet


def of_module(program: Program) -> Any:
    """Raises:
    UsageError: it cannot be traced, or holds an operator that OpenVINO has not.
    """
    import torch

    _keep_to_itself()
    import openvino

    sizes = traced.sizes(program.inputs, program.example)
    tensors = traced.tensors(traced.resized(program.inputs, program.example, sizes))
    expected = traced.answers(program.module, tensors)
    free = {name: dict.fromkeys(axes, torch.export.Dim.AUTO) for name, axes in traced.free(program.inputs).items()}
    try:
        with quiet():
            exported = torch.export.export(
                from_dict_to_dict(program.module), (tensors,), dynamic_shapes=(free,), strict=False
            )
            model = openvino.convert_model(exported)
    except Exception as error:
        raise UsageError(f"the module cannot be converted to OpenVINO: {first_line(error)}") from error
    _name(model.inputs, list(program.inputs))
    _name(model.outputs, list(expected))
    # the converter forgets which sizes are fixed
    shapes = [[-1 if isinstance(size, str) else size for size in shape] for shape in program.inputs.values()]
    model.reshape(dict(zip(model.inputs, map(openvino.PartialShape, shapes), strict=True)))
    return model


def quantized(model: Any, format: Format, examples: Sequence[Feeds]) -> Any:
    """Static int8, weights by channel: https://docs.openvino.ai/2026/openvino-workflow/model-optimization-guide.html

    Raises:
        RecipeFailed: nothing became an integer.
    """
    _keep_to_itself()
    with quiet():
        import nncf
        from nncf.quantization.range_estimator import RangeEstimatorParametersSet

        logging.getLogger("nncf").setLevel(logging.ERROR)
        made = nncf.quantize(
            model,
            nncf.Dataset(examples),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(examples),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                disable_bias_correction=not format.biases_corrected,
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
            ),
        )
    if not any(op.get_type_name() == "FakeQuantize" for op in made.get_ops()):
        raise RecipeFailed("NNCF quantized nothing: it found no operator that it has in integers")
    return made


def _name(ports: Sequence[Any], names: Sequence[str]) -> None:
    for port, name in zip(ports, names, strict=True):
        port.get_tensor().set_names({name})


def _keep_to_itself() -> None:
    """What OpenVINO and NNCF would tell their makers of a model stays here: both do without the package that sends."""
    sent: Mapping[str, Any] = sys.modules
    if "openvino_telemetry" not in sent:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
