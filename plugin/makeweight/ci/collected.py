"""What other jobs handed over: laid into this checkout, each device's files and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from makeweight import measurement
from makeweight.ci import handover
from makeweight.ci import state as states
from makeweight.ci.measure import regression_samples, regressions_file
from makeweight.layout import BASELINE, Layout
from makeweight.project.project import Project
from makeweight_base.errors import UsageError

COMPRESSED = "compressed"
"""The folder of the job that made the artifacts; every other holds what a device's job measured."""
_LARGEST = 4 << 30


def lay(root: Path, given: Path, digest: str) -> None:
    """Take over what the job `ci compress` made, and nothing of what lies beside that.

    Raises:
        EnvironmentFailed: it handed nothing over, or what lies there is something else.
    """
    source = given / COMPRESSED
    made = handover.check(source, digest, "compress", root)
    for name in handover.MADE:
        states.remove(root / name)
    states.begin(root)
    for path in made:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, root / path)


def lay_devices(project: Project, given: Path) -> tuple[tuple[str, ...], list[str]]:
    """Take over what each device's job measured: the devices that did not answer, and what was left aside.

    Of a device that did not answer, the base's figures that still belong to what is at hand stay, and no other.
    """
    notices = []
    silent = []
    for name in project.devices:
        source = given / name
        own = _measurements(project, name)
        paths = [path for path in (*own, *_others(project, name)) if _may_be_taken(source, source / path)]
        if regressions_file(Path(), name) not in paths:
            silent.append(name)
            continue
        odd = next((path for path in paths if path in own and not _is_of(source / path, name, own[path])), None)
        if odd is not None:
            silent.append(name)
            notices.append(f"What `{name}` handed over was left aside: `{odd}` holds more than its own figures.")
            continue
        for path in paths:
            (project.root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / path, project.root / path)
    expected = {*project.devices, COMPRESSED}
    strangers = sorted(entry.name for entry in given.iterdir() if entry.is_dir() and entry.name not in expected)
    if strangers:
        notices.append(f"Measurements of undeclared devices were left aside: {', '.join(strangers)}.")
    return tuple(silent), notices


def _measurements(project: Project, device: str) -> dict[Path, tuple[str, ...]]:
    """The files of figures that a job on a device may hand over, and which variants each may tell of."""
    at = Layout(Path())
    return {
        regressions_file(Path(), device): tuple(project.variants),
        **{at.benchmark(variant, device): (variant, BASELINE) for variant in project.variants},
    }


def _others(project: Project, device: str) -> Iterator[Path]:
    """What else it may hand over: who it is, and raw samples."""
    at = Layout(Path())
    yield at.device(device)
    for variant in project.variants:
        yield at.timings(variant, device)
        yield regression_samples(Path(), variant, device)


def _is_of(path: Path, device: str, variants: tuple[str, ...]) -> bool:
    """Whether a file of figures tells of one device and these variants only: another's would count for its own."""
    try:
        figures = measurement.loads(path.read_bytes().decode(), str(path))
    except (UsageError, UnicodeDecodeError, RecursionError):
        return False
    return all(figure.device == device and figure.variant in variants for figure in figures)


def _may_be_taken(folder: Path, path: Path) -> bool:
    return _lies_within(folder, path) and path.is_file() and path.stat().st_size <= _LARGEST


def _lies_within(folder: Path, path: Path) -> bool:
    """Whether no link is on the way: it could lead anywhere."""
    return path.resolve() == folder.resolve() / path.relative_to(folder)
