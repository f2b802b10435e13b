"""The models that an exporter is to serve, as its flags or its file of models describe them."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from makeweight_base.errors import UsageError, reason
from makeweight_monitors.exporter.settings import KEYS, ModelSettings, understand, unknown_key


def described(options: argparse.Namespace) -> list[ModelSettings]:
    """The models of `--models`, or the one of the flags.

    Raises:
        UsageError: it cannot be read, or both were given.
    """
    if options.models is None:
        return [of_flags(options)]
    for key in ("model", *KEYS):
        if getattr(options, key) is not None:
            raise UsageError(f"`--models` describes all models, and `{_flag(key)}` one", do="Put it into the file.")
    return of_file(options.models)


def of_flags(options: argparse.Namespace) -> ModelSettings:
    given: dict[str, Any] = {key: getattr(options, key) for key in KEYS if getattr(options, key) is not None}
    for key in {"reference", "manifest", "features"} & given.keys():
        if len(dict(given[key])) < len(given[key]):
            raise UsageError("the same is given twice", where=_flag(key))
        given[key] = dict(given[key])
    return understand(options.model, given, _flag, Path())


def _flag(key: str, *_: str) -> str:
    return "--feature" if key == "features" else f"--{key}".replace("_", "-")


def of_file(path: Path) -> list[ModelSettings]:
    """`models: {name: {key: value}}` of YAML; relative paths start from the file's folder."""
    from makeweight_base import yamlfile

    try:
        document = yamlfile.parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {reason(error)}", where=str(path)) from error
    data = document.data

    def at(*keys: str) -> str:
        return f"{path}:{document.line(keys)}"

    if not isinstance(data, dict):
        raise UsageError("`models:` is missing, with the models by name", where=at())
    for key in data:
        if key != "models":
            unknown_key(str(key), ("models",), at(str(key)))
    models = data["models"]
    if not isinstance(models, dict) or not models:
        raise UsageError("`models:` should hold the models by name", where=at("models"))
    settings = []
    for name, given in models.items():
        if not isinstance(name, str):
            raise UsageError(f"the name {name!r} should be a text; quote it", where=at("models", str(name)))
        if given is not None and not isinstance(given, dict):
            raise UsageError(f"`{name}` should hold `key: value`", where=at("models", name))
        settings.append(understand(name, given or {}, partial(at, "models", name), path.parent))
    stores: dict[Path, str] = {}
    for one in settings:
        if one.labels is not None and stores.setdefault(one.labels.resolve(), one.name) != one.name:
            raise UsageError(
                f"`{one.name}` and `{stores[one.labels.resolve()]}` have the same file",
                where=at("models", one.name, "labels"),
                do="Give each model a file of its own.",
            )
    return settings
