"""Somebody's dvc.yaml as it stands: what it loads, and what its stages write."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from makeweight.layout import CONFIG, PIPELINE
from makeweight_base.errors import ConfigError, Problem
from makeweight_base.yamlfile import Document, Path, parse

_TEMPLATED = ("variants", "devices")
_COLLISION = (
    "`{name}` would be mixed with the `{name}` of makeweight.yaml, because DVC pours all `vars` into one pot; "
    "rename it here"
)


def read(text: str) -> Document:
    """The file, of which `vars`, `stages`, `artifacts` and `plots` are what DVC takes there.

    Raises:
        ConfigError: it is no YAML, or no pipeline.
    """
    document = parse(text, PIPELINE)
    if document.data is not None and not isinstance(document.data, dict):
        raise ConfigError([document.problem((), "a mapping (`stages:` and the like) is wanted here")])
    for key, kinds in (("stages", dict), ("vars", list), ("artifacts", dict), ("plots", (list, dict))):
        value = (document.data or {}).get(key)
        if value is not None and not isinstance(value, kinds):
            raise ConfigError([document.problem((key,), f"{key}: this is no `{key}` that DVC could read")])
    return document


def untemplated(data: Mapping[str, Any]) -> list[str]:
    """Which of `variants` and `devices` the file does not load from makeweight.yaml yet."""
    loaded: set[str] = set()
    for entry in data.get("vars") or []:
        file, colon, keys = str(entry).partition(":")
        if posixpath.normpath(file) == CONFIG:
            loaded |= set(keys.split(",")) if colon else set(_TEMPLATED)
    return [name for name in _TEMPLATED if name not in {key.strip() for key in loaded}]


def collisions(existing: str | None, text_of: Callable[[str], str | None]) -> list[Problem]:
    """What else fills the template names `variants` and `devices`: DVC would mix it into ours, or refuse.

    `text_of` gives the text of a file of the project, or None when there is none. DVC always loads params.yaml.
    """
    document = read(existing or "")
    entries = (document.data or {}).get("vars") or []
    places: list[tuple[Document, Path]] = [(document, ("vars", index)) for index in range(len(entries))]
    named = [entry.partition(":")[0] for entry in entries if isinstance(entry, str)]
    for file in dict.fromkeys(["params.yaml", *named]):
        if file == CONFIG or not file.endswith((".yaml", ".yml", ".json")) or (text := text_of(file)) is None:
            continue
        # JSON is YAML but for tabs, which it has between values alone
        places.append((parse(text.replace("\t", " ") if file.endswith(".json") else text, file), ()))
    return [
        place.problem((*path, name), _COLLISION.format(name=name))
        for place, path in places
        for name in _TEMPLATED
        if (*path, name) in place.lines
    ]


def writes(existing: str, path: str) -> bool:
    """Whether a stage of this pipeline has `path` among its outputs (a template in an output may stand for anything).

    Raises:
        ConfigError: the file is no YAML.
    """
    stages = (read(existing).data or {}).get("stages") or {}
    for stage in stages.values():
        body = stage.get("do", stage) if isinstance(stage, dict) else {}
        folder = str(body.get("wdir", "."))
        for key in ("outs", "metrics", "plots"):
            for out in leaves(body.get(key)):
                parts = re.split(r"\$\{[^}]*\}", posixpath.normpath(posixpath.join(folder, out)))
                if re.fullmatch(".+".join(map(re.escape, parts)), posixpath.normpath(path)):
                    return True
    return False


def leaves(value: Any) -> set[str]:
    """The paths or parameters of a stage's list, whatever options they carry."""
    found: set[str] = set()
    for item in value if isinstance(value, list) else []:
        if isinstance(item, dict):
            for key, below in item.items():
                path = posixpath.normpath(str(key))
                found |= {f"{path}:{leaf}" for leaf in below} if isinstance(below, list) else {path}
        else:
            found.add(posixpath.normpath(str(item)))
    return found
