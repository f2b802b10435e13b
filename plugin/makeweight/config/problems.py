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
            found: dict[Path, list[Any]] = {}
            for entry in error.errors(include_url=False):
                if entry["type"] == "invalid_key" or (entry["type"], entry["loc"][-1:]) == ("string_type", ("[key]",)):
                    continue  # the file itself tells: see Document.unquoted
                if entry["type"] == "none_required":
                    continue  # nothing at all is the alternative that nobody means who writes something
                place = _visible((*path, *(part for part in entry["loc"] if part != "[key]")), self.document)
                found.setdefault(place, []).append(entry)
            for place, entries in found.items():
                deeper = any(len(other) > len(place) and other[: len(place)] == place for other in found)
                of_kind, others = _parted(entries, deeper=deeper)
                told = [_sentence(entry, model, tuple(entry["loc"]), beside) for entry in others]
                if of_kind:
                    told.append(_of_another_kind(of_kind))
                for said in dict.fromkeys(told):
                    self.note(place, said)
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
    **dict.fromkeys(("model_type", "dict_type", "model_attributes_type"), "a mapping (`key: value`)"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    "string_type": "a text",
}


def _parted(entries: Sequence[Any], *, deeper: bool) -> tuple[list[Any], list[Any]]:
    """Of what is wrong at one place, that it is something else than is wanted, and the rest. Where several kinds of
    values may stand, only what the kind that was meant objects to is told, as far as that is plain.

    Args:
        deeper: whether something is wrong within it too, so that one of the alternatives is of its kind.
    """
    of_kind = [entry for entry in entries if entry["type"] in _WANTED]
    others = [entry for entry in entries if entry["type"] not in _WANTED]
    if deeper:  # a list or a mapping is none of some words
        others = [entry for entry in others if entry["type"] != "literal_error"]
    # a text may be meant as anything
    meant = (deeper or others) and not any(isinstance(entry["input"], str) for entry in of_kind)
    return [] if meant else of_kind, others


def _of_another_kind(entries: Sequence[Any]) -> str:
    wanted = [*dict.fromkeys(_WANTED[entry["type"]] for entry in entries)]
    quote = "; quote it if it is meant as one" if wanted == [_WANTED["string_type"]] else ""
    return f"{' or '.join(wanted)} is wanted here, not {_shown(entries[0]['input'])}{quote}"


_BOUNDS = frozenset(("greater_than", "greater_than_equal", "less_than", "less_than_equal"))


def _sentence(entry: Any, model: type[BaseModel], location: Path, beside: tuple[str, ...]) -> str:
    kind, given = entry["type"], _shown(entry.get("input"))
    if kind.startswith("date_"):
        return f"a date is wanted here, such as 2030-12-31, not {given}"
    if kind == "extra_forbidden":
        known = [*_keys_at(model, location[:-1]), *(beside if len(location) == 1 else ())]
        return f"unknown key; {near(str(location[-1]), known)}"
    if kind == "missing" and isinstance(location[-1], int):
        return f"more entries are wanted here than {given} has"
    if kind == "missing":
        return "missing, and required"
    if kind == "literal_error":
        return f"{given} is none of {entry['ctx']['expected']}"
    if kind == "too_short":
        return "at least one entry is wanted here"
    if kind == "too_long":
        return f"at most {entry['ctx']['max_length']} entries are wanted here, not {entry['ctx']['actual_length']}"
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
