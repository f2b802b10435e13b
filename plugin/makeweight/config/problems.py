"""What a validator found wrong, as sentences that name file and line and say what would be right."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from makeweight_base.errors import Problem
from makeweight_base.yamlfile import Document, Path

_Model = TypeVar("_Model", bound=BaseModel)
# What pydantic calls the alternatives of a key that takes several kinds of values: they stand in no file.
_ALTERNATIVE = re.compile(r"(constrained-)?(bool|int|float|str)|(dict|function-\w+|list|literal|tuple)\[.*")


@dataclass(frozen=True)
class Problems:
    """What is wrong with a document, collected so that it can be told at once."""

    document: Document
    _noted: list[Problem] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._noted)

    def told(self) -> list[Problem]:
        """Each as `file:line: where: message`, from top to bottom."""
        return sorted(self._noted, key=lambda problem: problem.line or 0)

    def note(self, path: Path, message: str) -> None:
        where = dotted(path)
        self._noted.append(self.document.problem(path, f"{where}: {message}" if where else message))

    def validated(
        self, model: type[_Model], data: object, path: Path = (), beside: tuple[str, ...] = ()
    ) -> _Model | None:
        """The part of the document at `path` as a model of pydantic; None when it is none, which is noted.

        `beside` are the keys that stand there and are not the model's.
        """
        try:
            return model.model_validate(data)
        except ValidationError as error:
            for entry in error.errors(include_url=False):
                if entry["type"] == "invalid_key" or (entry["type"], entry["loc"][-1:]) == ("string_type", ("[key]",)):
                    continue  # the file itself tells: see Document.unquoted
                place = _visible((*path, *(part for part in entry["loc"] if part != "[key]")), self.document)
                self.note(place, _sentence(entry, model, tuple(entry["loc"]), beside))
            return None


def _visible(path: Path, document: Document) -> Path:
    """`path` without what a validator added: an index where one rule stands without a list around it, and which of
    several alternatives was tried."""
    found: Path = ()
    for part in path:
        if (*found, part) in document.lines or (isinstance(part, str) and not _ALTERNATIVE.fullmatch(part)):
            found = (*found, part)
    return found


def dotted(path: Sequence[str | int]) -> str:
    """`variants.int8.steps[0].quantize`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def near(word: str, known: Sequence[str]) -> str:
    """`did you mean …?` when something is near, else what there is."""
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return f"known here: {', '.join(known)}" if known else "nothing can be set here"


# What is wanted, by the kinds of pydantic's errors that say no more than that it is something else.
_WANTED = {
    **dict.fromkeys(("model_type", "dict_type", "model_attributes_type"), "a mapping (`key: value`) is wanted here"),
    "list_type": "a list is wanted here",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number is wanted here"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number is wanted here"),
}


_BOUNDS = frozenset(("greater_than", "greater_than_equal", "less_than", "less_than_equal"))


def _sentence(entry: Any, model: type[BaseModel], location: Path, beside: tuple[str, ...]) -> str:
    kind, given = entry["type"], _shown(entry.get("input"))
    if kind in _WANTED:
        return f"{_WANTED[kind]}, not {given}"
    if kind.startswith("date_"):
        return f"a date is wanted here, such as 2030-12-31, not {given}"
    if kind == "string_type":
        return f"a text is wanted here, not {given}; quote it if it is meant as one"
    if kind == "extra_forbidden":
        known = [*_keys_at(model, location[:-1]), *(beside if len(location) == 1 else ())]
        return f"unknown key; {near(str(location[-1]), known)}"
    if kind == "missing":
        return "missing, and required"
    if kind == "literal_error":
        return f"{given} is none of {entry['ctx']['expected']}"
    if kind == "too_short":
        return "at least one entry is wanted here"
    message = str(entry["msg"])
    if kind in _BOUNDS:
        return f"{given} is not {message.removeprefix('Input should be ')}"
    return message.removeprefix("Value error, ").removeprefix("Input should be ").replace("Input should", "it should")


def _shown(given: object) -> str:
    if given is None:
        return "nothing"
    text = repr(given) if isinstance(given, str) else str(given)
    return f"`{text if len(text) <= 40 else text[:37] + '...'}`"


def _keys_at(annotation: Any, location: Path) -> list[str]:
    """The keys that the model at `location` below `annotation` knows; empty when it is no model."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _keys_at(get_args(annotation)[0], location)
    if origin in (Union, types.UnionType):
        found = (_keys_at(option, location) for option in get_args(annotation))
        return next((keys for keys in found if keys), [])
    if origin in (list, dict):
        return _keys_at(get_args(annotation)[-1], location[1:])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields
        if not location:
            return list(fields)
        field = fields.get(str(location[0]))
        return _keys_at(field.annotation, location[1:]) if field else []
    return []
