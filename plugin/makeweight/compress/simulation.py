"""The rounding of integers in a module that trains: its calls, weights and ranges are as a runtime will have them.

Weights have the scales that the runtime's quantizer gives them, by their largest magnitude, at every step anew; of a
convolution with a normalization behind it, those of the two folded into one. The ranges of activations are learned from
where calibration found them, with the gradient of Esser et al., "Learned Step Size Quantization", 2020,
https://arxiv.org/abs/1902.08153. Rounding lets gradients pass.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from makeweight.compress import accelerator
from makeweight.compress.deadend import refuse_not_finite, refuse_operators
from makeweight.compress.examples import Examples
from makeweight.compress.scores import first_answers
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Given
from makeweight.compress.tuning import tune
from makeweight.runtimes.calls import Call, visited
from makeweight.runtimes.format import Format
from makeweight.runtimes.integers import LEARNED, Constant, Integers, Learned, Range
from makeweight.runtimes.layers import told_of
from makeweight.runtimes.runtime import RecipeFailed

if TYPE_CHECKING:
    from makeweight.compress.qat import QatOptions

# The ranges of a module that is trained are a parameter of it, so that whatever moves, averages or keeps its weights
# does so with them.
_PARAMETER = "quantization_ranges"
_STEPS = 255
# Half a step, and what floating point may add to it.
_HALF = 0.5001
# What has weights, and along which axis its channels lie.
_PRODUCTS = {
    "linear": 0, "conv1d": 0, "conv2d": 0, "conv3d": 0, "conv_transpose1d": 1, "conv_transpose2d": 1,
    "conv_transpose3d": 1,
}  # fmt: skip
_NORMALIZATION = "batch_norm"
# What may stand behind a product in one operator with it.
_FOLDED = {_NORMALIZATION, "relu", "clamp", "hardtanh", "clamp_min", "dropout", "add", "iadd", "radd"}
# The examples that the order of calls is seen on.
_SOME = 2


def train(subject: Subject, options: QatOptions, format: Format, given: Given) -> Subject:
    """See `Qat` and `Transformation.apply`."""
    module = subject.source
    refuse_operators(module, LEARNED)
    refuse_not_finite(module, LEARNED)
    if given.integers is None:
        raise RecipeFailed(f"{LEARNED}: nobody tells what would be integers")
    integers = given.integers(subject, format)
    if not integers.ranges:
        raise RecipeFailed(f"{LEARNED} changed nothing: no call of the module becomes integers")
    device = accelerator.of(options)
    # there from the beginning: moving a module makes other tensors of its buffers, and whose they are is seen here
    with accelerator.placed(module, subject.left.values(), device):
        examples = Examples(given.splits["calibration"], given.task, given.ports, labels=False, on=device)
        simulation = Simulation(module, integers, next(examples.batches(_SOME)).inputs, given.output)
        if integers.unseen:
            given.progress.say(
                f"{LEARNED}: within an operator, with ranges from calibration alone: {told_of(integers.unseen)}"
            )
        with simulation.running():
            trained = tune(module, options, given, LEARNED, subject.left.values())
            learned = simulation.learned()
    given.progress.say(
        f"{LEARNED}: {len(learned.ranges)} ranges learned, {len(simulation.weights)} products with integer weights"
    )
    given.notes[LEARNED] = {
        **asdict(trained),
        "ranges": {name: [each.lowest, each.highest] for name, each in learned.ranges.items()},
        "products": sorted(simulation.weights),
        "not simulated": [*integers.unseen, *simulation.unfound],
    }
    return subject.leaving(LEARNED, learned)


class Simulation:
    """What is rounded in which call of a module."""

    def __init__(self, module: Any, integers: Integers, example: Any, output: str | None) -> None:
        """Args:
        module: in eval mode.
        example: inputs that it is asked with, to see which call follows which.
        """
        import torch

        self._module, self._integers = module, integers
        begins = [(min(each.lowest, 0.0), max(each.highest, 0.0)) for each in integers.ranges.values()]
        self._begins = torch.tensor(begins, dtype=torch.float32, device=accelerator.where(module))
        self._places = {name: place for place, name in enumerate(integers.ranges)}
        seen = _Order()
        with visited(module, seen):
            first_answers(module, example, output, LEARNED)
        self.weights: dict[str, _Weights] = {}
        """By call, how its weights are rounded."""
        self.unfound: list[str] = []
        """Products with integer weights that are no layer's."""
        for name, by_channel in integers.products.items():
            found = seen.product(name)
            if found is None:
                self.unfound.append(name)
            else:
                product, normalization = found
                # of a weight that others read too, the runtime tells; one that is folded is another
                told = integers.constants.get(f"{product.name}(1)") if normalization is None else None
                stored = told or Constant(True, _PRODUCTS[product.kind] if by_channel else None)
                self.weights[product.name] = _Weights(product, normalization, stored)

    @contextmanager
    def running(self) -> Iterator[None]:
        """As long as this lasts, the module rounds, and has its ranges as a parameter."""
        import torch

        ranges = torch.nn.Parameter(torch.zeros_like(self._begins))
        self._module.register_parameter(_PARAMETER, ranges)
        try:
            with visited(self._module, self._visit):
                yield
        finally:
            delattr(self._module, _PARAMETER)

    def learned(self) -> Learned:
        """The ranges, while it is running."""
        ends = self._ends().detach().double().tolist()
        return Learned({name: Range(*ends[place]) for name, place in self._places.items()})

    def _ends(self) -> Any:
        """Where ranges lie, shape [ranges, 2]: as factors of where they began, an optimizer moves wide ones and narrow
        ones alike, none crosses zero, and weight decay draws them to where they began."""
        return self._begins * getattr(self._module, _PARAMETER).exp()

    def _visit(self, call: Call) -> Any:
        weights = self.weights.get(call.name)
        given = list(call.arguments)
        if weights is not None:
            given[1] = weights.rounded(given[1])
        for place, values in enumerate(given):
            constant = self._integers.constants.get(f"{call.name}({place})")
            if constant is not None and not (place == 1 and weights is not None):
                given[place] = _as_stored(values, constant)
        if call.name in self._integers.biases:
            given = self._with_bias(given, self._integers.biases[call.name])
        result = call.compute(*given, **call.others)
        if type(result) in (tuple, list):
            return type(result)(self._ranged(each, f"{call.name}[{place}]") for place, each in enumerate(result))
        return self._ranged(result, call.name)

    def _with_bias(self, given: list[Any], owner: str) -> list[Any]:
        """A normalization's arguments (input, shape, weight, bias, ...) with the bias in the steps that a runtime has
        for it, which are coarse for what is no sum of products."""
        weight, bias = given[2:4]
        if weight is None or bias is None:
            return given
        lowest, highest = self._ends()[self._places[owner]].detach()
        step = _scale(highest - lowest, _STEPS) * _scale(weight.detach().abs().amax(), 127)
        return [*given[:3], bias + ((bias / step).round() * step - bias).detach(), *given[4:]]

    def _ranged(self, values: Any, name: str) -> Any:
        constant = self._integers.constants.get(name)
        if constant is not None:
            return _as_stored(values, constant)
        owner = self._integers.calls.get(name)
        if owner is None:
            return values
        ends = self._ends()[self._places[owner]]
        return _rounding().apply(values, ends[0], ends[1])


class _Order:
    """Which call made what the next one reads."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self._before: dict[str, str | None] = {}
        self._makers: dict[int, str] = {}
        self._kept: list[Any] = []

    def __call__(self, call: Call) -> Any:
        self.calls[call.name] = call
        # asked before the call: what works in place gives what it was handed
        self._before[call.name] = self._makers.get(id(call.arguments[0])) if call.arguments else None
        result = call.result()
        self._makers[id(result)] = call.name
        # kept, so that no other gets its id
        self._kept.append(result)
        return result

    def product(self, name: str) -> tuple[Call, Call | None] | None:
        """The product that a result is of, and the normalization behind it; None: it is no layer's."""
        call, normalization = self.calls.get(name), None
        while call is not None and call.kind in _FOLDED:
            if call.kind == _NORMALIZATION:
                normalization = call
            call = self.calls.get(self._before[call.name] or "")
        return (call, normalization) if call is not None and call.kind in _PRODUCTS else None


class _Weights:
    """How the weights of a product are rounded."""

    def __init__(self, product: Call, normalization: Call | None, stored: Constant) -> None:
        self._axis = _PRODUCTS[product.kind]
        self._stored = stored
        # input, weight, bias, running mean, running variance, training, momentum, eps
        self._normalization = None if normalization is None else normalization.arguments

    def rounded(self, weight: Any) -> Any:
        import torch

        if self._normalization is None:
            return _as_stored(weight, self._stored)
        gamma, variance, eps = (self._normalization[place] for place in (1, 4, 7))
        factor = (variance + eps).rsqrt()
        if gamma is not None:
            factor = factor * gamma.detach()
        factor = torch.where(factor == 0, torch.ones_like(factor), factor)
        shape = [1] * weight.dim()
        shape[self._axis] = -1
        factor = factor.reshape(shape)
        return _as_stored(weight * factor, self._stored) / factor


def _as_stored(values: Any, constant: Constant) -> Any:
    """A constant as its integers stand for it."""
    import torch

    plain = values.detach()
    if not constant.signed:
        lowest, highest = plain.amin().clamp(max=0), plain.amax().clamp(min=0)
        scale = _scale(highest - lowest, _STEPS)
        zero = (-lowest / scale).round().int()
        return torch.fake_quantize_per_tensor_affine(values, scale, zero, 0, _STEPS)
    if constant.axis is None:
        scale = _scale(plain.abs().amax(), 127)
        return torch.fake_quantize_per_tensor_affine(
            values, scale, torch.zeros_like(scale, dtype=torch.int32), -127, 127
        )
    others = [axis for axis in range(values.dim()) if axis != constant.axis]
    scale = _scale(plain.abs().amax(others), 127)
    return torch.fake_quantize_per_channel_affine(
        values, scale, torch.zeros_like(scale, dtype=torch.int32), constant.axis, -127, 127
    )


def _scale(span: Any, steps: int) -> Any:
    """As ONNX Runtime has it: one, where there is nothing to span."""
    import torch

    scale = span / steps
    return torch.where(scale < torch.finfo(scale.dtype).tiny, torch.ones_like(scale), scale)


@functools.cache
def _rounding() -> Any:
    """Rounding to 8 bits within a range whose ends learn."""
    import torch

    class Rounding(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, values: Any, lowest: Any, highest: Any) -> Any:  # type: ignore[override, unused-ignore]
            scale = _scale(highest - lowest, _STEPS)
            zero = (-lowest / scale).round().clamp(0, _STEPS).int()
            rounded = torch.fake_quantize_per_tensor_affine(values, scale, zero, 0, _STEPS)
            # neither of the two themselves: what comes after may work on them in place
            context.save_for_backward(rounded - values, scale)
            context.share = (values.shape[1:].numel() * _STEPS) ** -0.5
            return rounded

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:  # type: ignore[override, unused-ignore]
            moved, scale = context.saved_tensors
            # rounding moves by half a step at most, an end of the range by more
            under, over = moved > scale * _HALF, moved < -scale * _HALF
            within = gradient.masked_fill(under | over, 0)
            stretch = (moved * within).sum() / (scale * _STEPS)
            low = (gradient * under).sum() - stretch
            high = (gradient * over).sum() + stretch
            # section 2.2: of an example, as many gradients are added up as it has values
            return within, low * context.share, high * context.share

    return Rounding
