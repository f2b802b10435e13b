"""Whether a folder is a project's, and where the project is that was meant."""

from __future__ import annotations

import shlex
from pathlib import Path

from makeweight.layout import CONFIG, Layout
from makeweight_base.errors import UsageError

_OTHERWISE_CALLED = Path(CONFIG).with_suffix(".yml").name


def misnamed(root: Path) -> UsageError | None:
    """That the file is there and ends in `.yml`, as others may."""
    if not (root / _OTHERWISE_CALLED).is_file():
        return None
    return UsageError(
        f"there is a {_OTHERWISE_CALLED} in {root.resolve()}, and the stages name {CONFIG}",
        do=f"Rename it to {CONFIG}.",
    )


def none_in(root: Path) -> UsageError:
    """That a folder holds no makeweight.yaml, and what to do: it may lie within a project."""
    if not root.is_dir():
        return UsageError("no such folder", where=str(root), do="Name the folder of makeweight.yaml with `--project`.")
    if (told := misnamed(root)) is not None:
        return told
    above = next((folder for folder in root.resolve().parents if (folder / CONFIG).is_file()), None)
    do = "Run `makeweight init` there, or name the folder with `--project`."
    if above is not None:
        do = f"There is one in {above}: run the command there, or with `--project {shlex.quote(str(above))}`."
    return UsageError(f"no {CONFIG} in {root.resolve()}", do=do)


def from_here(root: Path) -> str:
    """Where a command is to be typed, for behind `next`: `, in compression`; nothing where one stands there."""
    return "" if root.resolve() == Path.cwd() else f", in {root}"


def no_verdict_in(root: Path) -> UsageError:
    """That a project has decided nothing yet, or that the folder is none."""
    layout = Layout(root)
    if not layout.config.is_file():
        return none_in(root)
    return UsageError("no verdict yet", where=str(layout.verdict), do="Run `dvc repro`, or `makeweight report`.")
