"""What other jobs handed over: laid into this checkout, each device's files and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from makeweight.ci.ground import FOLDER
from makeweight.ci.measure import regressions_file
from makeweight.errors import UsageError
from makeweight.layout import Layout
from makeweight.project import Project

COMPRESSED = "compressed"
"""The folder of the job that made the artifacts; every other holds what a device's job measured."""
_LARGEST = 4 << 30


def lay(root: Path, given: Path) -> None:
    """Take over what the job `ci compress` made: artifacts, samples, reports, the lock and its notes.

    Raises:
        UsageError: nothing was handed over.
    """
    source = given / COMPRESSED
    if not (source / FOLDER / "ground.json").exists():
        raise UsageError(
            "the job that compresses handed nothing over",
            where=str(source),
            do="Look at that job's log: it failed before it had anything.",
        )
    at = Layout(Path())
    folders = [
        FOLDER,
        *(path.as_posix() for path in (at.reports, at.artifact("x").parent, at.outcomes("x").parent.parent)),
    ]
    for name in folders:
        shutil.rmtree(root / name, ignore_errors=True)
        if (source / name).is_dir():
            _copy(source / name, root / name)
    if (source / "dvc.lock").is_file():
        shutil.copyfile(source / "dvc.lock", root / "dvc.lock")


def lay_devices(project: Project, given: Path) -> tuple[tuple[str, ...], list[str]]:
    """Take over what each device's job measured: the devices that did not answer, and what was left aside.

    Of a device that did not answer, the base's figures that still belong to what is at hand stay, and no other.
    """
    notices = []
    silent = []
    for name in project.devices:
        source = given / name
        if not (source / regressions_file(Path(), name)).is_file():
            silent.append(name)
            continue
        for path in _of_device(project, name):
            there = source / path
            if there.is_file() and not there.is_symlink() and there.stat().st_size <= _LARGEST:
                (project.root / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(there, project.root / path)
    known = {*project.devices, COMPRESSED}
    strangers = sorted(entry.name for entry in given.iterdir() if entry.is_dir() and entry.name not in known)
    if strangers:
        notices.append(f"Measurements of undeclared devices were left aside: {', '.join(strangers)}.")
    return tuple(silent), notices


def _of_device(project: Project, device: str) -> Iterator[Path]:
    """All that a job on a device may hand over, relative to the project's folder."""
    at = Layout(Path())
    yield at.device(device)
    yield regressions_file(Path(), device)
    for variant in project.variants:
        yield at.benchmark(variant, device)
        yield at.timings(variant, device)
        yield Path(FOLDER, "regressions", f"{device}-{variant}.npz")


def _copy(source: Path, target: Path) -> None:
    """Files and folders only: a link could lead anywhere."""
    shutil.copytree(
        source,
        target,
        symlinks=True,
        ignore=lambda folder, names: [name for name in names if Path(folder, name).is_symlink()],
    )
