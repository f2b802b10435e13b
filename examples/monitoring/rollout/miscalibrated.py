"""An int8 model that was quantized with images of another scale: the quantizer is really run, on a copy of the project.

This is how it happens. Images that hold 0 to 16 are divided by 16 before the model sees them. Somebody quantizes it
anew with a loader of their own, which divides by 255, as pictures of eight bits want it. Nothing fails: the ranges fit
the images that they were taken from, and so do all that is tried on these. In production values leave every range.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from examples.monitoring import parts

_LOADER = '''"""A loader of somebody's own."""

from examples.digits import data


def load(split):
    images, digits = data.load(split)
    return images * (16 / 255), digits
'''
_LOAD = re.compile(r"(?m)^  load: examples\.digits\.data:load$")
_TAKES = ("constraints.txt", "models", "artifacts/baseline")


def made(project: Path, variant: str, folder: Path) -> Path:
    """The artifact, in `folder`; as it lies there already, if it is of the model of today.

    Raises:
        EnvironmentFailed: the quantizer fails; what it said is part of the error.
    """
    artifact, origin = folder / "artifacts" / variant, project / "artifacts" / variant / "manifest.json"
    if (artifact / "manifest.json").is_file() and (artifact / "of.json").read_bytes() == origin.read_bytes():
        return artifact
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        work = Path(temporary) / "work"
        (work / "artifacts").mkdir(parents=True)
        for name in _TAKES:
            if (project / name).exists():
                (work / name).symlink_to((project / name).resolve())
        shutil.copytree(project / "examples", work / "examples")
        (work / "examples" / "digits" / "rescaled.py").write_text(_LOADER)
        declared = (project / "makeweight.yaml").read_text()
        (work / "makeweight.yaml").write_text(_LOAD.sub("  load: examples.digits.rescaled:load", declared))
        parts.carried_out(parts.verb("compress", variant, of="makeweight"), work)
        shutil.copyfile(origin, work / "artifacts" / variant / "of.json")
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
    return artifact
