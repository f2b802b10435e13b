"""What lies in a project's folder that `makeweight init` can start from."""

from __future__ import annotations

import os
from pathlib import Path

# What pins the toolchain, best first.
_LOCKS = (
    "requirements.lock",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "conda-lock.yml",
    "requirements.txt",
    "constraints.txt",
    "environment.yml",
)
_NOT_THE_USERS = frozenset(
    {"artifacts", "samples", "reports", "node_modules", "site-packages", "__pycache__", "venv", "env"}
)
_DEPTH = 4


def lock(root: Path) -> str | None:
    """The file that pins the toolchain."""
    return next((name for name in _LOCKS if (root / name).is_file()), None)


def files(root: Path, *suffixes: str) -> list[str]:
    """Files with one of these endings, relative to the root, not looking into environments and what tools made."""
    found: list[str] = []
    for folder, below, names in os.walk(root):
        here = Path(folder).relative_to(root)
        below[:] = [
            name
            for name in below
            if name not in _NOT_THE_USERS
            and not name.startswith(".")
            and len(here.parts) < _DEPTH
            and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        found += [(here / name).as_posix() for name in names if name.endswith(suffixes)]
    return sorted(found)
