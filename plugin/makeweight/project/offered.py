"""What the names in makeweight.yaml stand for: the class behind one, and the runtime where none is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makeweight import registry
from makeweight.config.problems import Problems
from makeweight.config.settings import RUNTIME, ModelSettings
from makeweight_base.errors import UsageError
from makeweight_base.yamlfile import Path


def plugged(kind: registry.Kind, name: str, path: Path, problems: Problems) -> Any:
    """The class behind a name; None where nobody offers it, which is noted."""
    try:
        return registry.load(kind, name)
    except UsageError as error:
        problems.note(path, error.what)
        return None


def default_runtime(data: Mapping[str, Any]) -> str:
    """What the model runs on, and a recipe that does not say so: as it is declared in the raw file, else what opens the
    model's own."""
    model = data.get("model")
    if not isinstance(model, dict):
        return RUNTIME
    opened_by = (registry.runtime_of(f".{key}") for key in ModelSettings.file_keys(model))
    return str(model.get("runtime") or next(opened_by, None) or RUNTIME)
