"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from makeweight_monitors.errors import EnvironmentFailed, reason


def write(path: Path, text: str) -> None:
    """Replace `path` by `text`; what stood there stays until all of it is on the disk.

    Raises:
        EnvironmentFailed: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o666 & ~mask)  # mkstemp makes private files, and Prometheus runs as somebody else
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFailed(
            f"could not write: {reason(error)}",
            where=str(path),
            do="Free some space or mend the permissions, then run again; nothing was overwritten.",
        ) from error
