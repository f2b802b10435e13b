"""How the declared inputs reach a PyTorch module's `forward`: by name."""

from __future__ import annotations

import copy
import inspect
import re
import typing
from collections.abc import Mapping
from inspect import BoundArguments, Parameter
from typing import Any

from makeweight.runtimes.outputs import named
from makeweight_base.errors import UsageError

# An annotation that cannot be looked up is read as it is written.
_MAPPING = re.compile(r"(\w+\.)*(dict|Dict|OrderedDict|Mapping|MutableMapping)\b")


def call(module: Any, inputs: Mapping[str, Any]) -> Any:
    """What a module answers to its inputs.

    Raises:
        UsageError: see `bound`. Besides, whatever the module raises.
    """
    given = bound(module, inputs)
    return module(*given.args, **given.kwargs)


def from_dict_to_dict(module: Any) -> Any:
    """The same module with a `forward` from inputs to outputs by name: whatever it takes and returns, it is traced in
    one way."""

    def forward(inputs: Mapping[str, Any]) -> dict[str, Any]:
        given = bound(module, inputs)
        return named(module.forward(*given.args, **given.kwargs))

    traced = copy.copy(module)
    traced.forward = forward
    return traced


def parameters(module: Any) -> dict[str, bool]:
    """What `forward` takes by name, in order, and whether it has to be given; nothing where one dict holds all
    inputs."""
    known = inspect.signature(module.forward).parameters
    named, required = _by_name(known)
    if len(required) == 1 and _is_mapping(_annotation(module, known[required[0]])):
        return {}
    return {name: name in required for name in named}


def bound(module: Any, inputs: Mapping[str, Any]) -> BoundArguments:
    """The arguments that `forward` is called with.

    Each input goes to the parameter of its name. Where no name fits, a single input goes to the one parameter that has
    to be given; all of them go as one dict to a parameter that is annotated as a mapping, or, being several, to the
    only one there is; and `*args` takes them in the order of their declaration.

    Raises:
        UsageError: it is not clear which input is which of its parameters.
    """
    signature = inspect.signature(module.forward)
    parameters = signature.parameters
    named, required = _by_name(parameters)
    if any(name in named for name in inputs):
        placed = {name: inputs[name] for name in named if name in inputs}
        others = {name: value for name, value in inputs.items() if name not in named}
        keywords = next((name for name, each in parameters.items() if each.kind is Parameter.VAR_KEYWORD), None)
        if others and keywords is not None:
            placed[keywords] = others
        clear = not others or keywords is not None
    else:
        placed = _unnamed(module, inputs, parameters, required)
        clear = bool(placed)
    if not clear or any(name not in placed for name in required):
        raise _unclear(parameters.values(), inputs)
    return BoundArguments(signature, typing.cast(Any, placed))


def _by_name(parameters: Mapping[str, Parameter]) -> tuple[list[str], list[str]]:
    """Those that are given by name, and of these the ones that have to be, in order."""
    named = [name for name, each in parameters.items() if not _varies(each)]
    return named, [name for name in named if parameters[name].default is Parameter.empty]


def _unnamed(
    module: Any, inputs: Mapping[str, Any], parameters: Mapping[str, Parameter], required: list[str]
) -> dict[str, Any]:
    """Where inputs go whose names `forward` does not have; nowhere where that is not clear."""
    only = next(iter(parameters.values())) if len(parameters) == 1 else None
    if only is not None and _varies(only):
        return {only.name: tuple(inputs.values()) if only.kind is Parameter.VAR_POSITIONAL else dict(inputs)}
    taker = required[0] if len(required) == 1 else None if only is None else only.name
    if taker is not None:
        annotation = _annotation(module, parameters[taker])
        if _is_mapping(annotation) or (len(inputs) > 1 and only is not None and annotation in (Parameter.empty, Any)):
            return {taker: dict(inputs)}
        return {taker: next(iter(inputs.values()))} if len(inputs) == 1 else {}
    if parameters and all(map(_varies, parameters.values())):  # (*args, **kwargs): a wrapper, which passes them on
        args, kwargs = parameters
        return {args: tuple(inputs.values())} if len(inputs) == 1 else {kwargs: dict(inputs)}
    return {}


def _annotation(module: Any, parameter: Parameter) -> Any:
    try:
        return typing.get_type_hints(module.forward).get(parameter.name, parameter.annotation)
    except Exception:  # noqa: BLE001 - an annotation may hold anything, and names that are not there at run time
        return parameter.annotation


def _is_mapping(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return _MAPPING.match(annotation) is not None
    kind = typing.get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, Mapping)


def _unclear(parameters: typing.Iterable[Parameter], inputs: Mapping[str, Any]) -> UsageError:
    return UsageError(
        f"which parameters of forward({', '.join(map(_written, parameters))}) the declared inputs are is not clear: "
        f"{', '.join(inputs)}",
        where="makeweight.yaml: model.inputs",
        do="Name the inputs as forward() names its parameters; one that takes a dict of them says so: `batch: dict`.",
    )


def _written(parameter: Parameter) -> str:
    sign = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
    return f"{sign}{parameter.name}{'=…' if parameter.default is not parameter.empty else ''}"


def _varies(parameter: Parameter) -> bool:
    return parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
