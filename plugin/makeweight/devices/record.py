"""A device's identity on file: written by `makeweight device`, part of every benchmark's key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from makeweight_base.atomic import write_json
from makeweight_base.errors import UsageError


class Record(BaseModel):
    """What a device said of itself, or why it could not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Literal["ok", "unreachable"]
    identity: Mapping[str, Any] = Field(default_factory=dict)
    reason: str | None = None


def described(identity: Mapping[str, Any]) -> str:
    """What a device is, in a line."""
    cores = identity.get("cores")
    parts = (
        identity["cpu"],
        identity.get("model"),
        (identity.get("gpu") or {}).get("name"),
        cores and f"{cores} cores",
        identity["machine"],
        identity.get("bits") and f"programs of {identity['bits']} bits",
        "emulated: no times of it" if identity["emulated"] else None,
    )
    return ", ".join(part for part in parts if part)


def write(path: Path, record: Record) -> None:
    write_json(path, record.model_dump(exclude_none=True))


def read(path: Path) -> Record:
    """Read a record.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    again = f"Run `makeweight device {path.stem}`."
    try:
        return Record.model_validate_json(path.read_text())
    except FileNotFoundError as error:
        raise UsageError("this device was never asked", where=str(path), do=again) from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise UsageError("this is no record of a device", where=str(path), do=again) from error
