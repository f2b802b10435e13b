"""Old models beside a pointer: which go, and above all which never do."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from controlled import CANARY, STABLE
from makeweight_base.errors import UsageError
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.targets.pointer import PointerOptions, PointerTarget
from makeweight_monitors.serving import pointer as pointers
from makeweight_monitors.serving import retention
from makeweight_monitors.serving.pointer import Pointer

HOURS = 3600.0
ON_TRIAL = Canary("prod", "digits", CANARY.sha256, "1", "r2")


def name(letter: str) -> str:
    return letter * 64


@pytest.mark.parametrize(
    ("keep", "gone"), [(0, "abc"), (1, "ab"), (2, "a"), (9, "")], ids=["none stays", "one", "two", "all"]
)
def test_the_ones_named_last_stay_and_what_is_named_does_not_count(keep: int, gone: str) -> None:
    times = {"a": 1 * HOURS, "b": 2 * HOURS, "c": 3 * HOURS, "d": 0.0, "e": 9.5 * HOURS}
    # `d` is served and oldest; `e` was named half an hour ago, and is one of those that were named last
    kept_with = keep + 1 if keep else 0
    assert retention.older(times, {"d"}, kept_with, 10 * HOURS) == list(gone)


def test_what_was_named_within_the_hour_stays_whatever_is_kept() -> None:
    assert retention.older({"a": 0.0, "b": 3599.0, "c": 3601.0}, set(), 0, 2 * HOURS) == ["a", "b"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Stable `a`, canary `b`; `c` to `f` were named so many hours ago; and what is not ours."""
    serving = tmp_path / "serving"
    for letter in "abcdef":
        (serving / "models" / name(letter)).mkdir(parents=True)
        (serving / "models" / name(letter) / "model.onnx").write_text(letter)
    (serving / "models" / "theirs").mkdir()
    (serving / "models" / name("9")).symlink_to(serving / "models" / "theirs")
    (serving / "notes.json").write_text("{}")
    stable, canary = (replace(one, path=f"models/{name(of)}") for one, of in ((STABLE, "a"), (CANARY, "b")))
    file = serving / "current.json"
    pointers.write(file, Pointer(stable, canary))
    for hours, letter in enumerate("cdef", 2):
        ago = time.time() - hours * HOURS
        os.utime(serving / "models" / name(letter), (ago, ago))
    ago = time.time() - 99 * HOURS
    for one in (name("9"), "theirs"):
        os.utime(serving / "models" / one, (ago, ago), follow_symlinks=False)
    return file


def there(file: Path) -> str:
    return "".join(sorted(path.name[0] for path in (file.parent / "models").iterdir()))


def target(file: Path, keep: int = 2) -> PointerTarget:
    return PointerTarget(PointerOptions(path=file.name, keep=keep), file.parent)


@pytest.mark.parametrize(("promoted", "stays"), [(True, "9abct"), (False, "9abct")], ids=["promoted", "rolled back"])
def test_when_a_trial_is_over_what_nobody_serves_goes(file: Path, promoted: bool, stays: str) -> None:
    """The one that served until now is the first of those that stay, however long it has lain there."""
    one = target(file)
    one.set(one.get(), 1.0 if promoted else 0.0)
    told = one.finalize(ON_TRIAL, promoted, "")
    assert told == f"removed 3 that nobody serves any more ({'f' * 12}, {'e' * 12}, {'d' * 12})"
    assert there(file) == stays
    assert one.finalize(ON_TRIAL, promoted, "") is None


def test_what_another_pointer_names_stays(file: Path) -> None:
    staging = file.with_name("staging.json")
    pointers.write(staging, Pointer(replace(STABLE, weight=1.0, path=f"models/{name('e')}")))
    ago = time.time() - 99 * HOURS
    os.utime(file.parent / "models" / name("e"), (ago, ago))
    assert retention.remove_older(file, 0) == [name("f"), name("d"), name("c")]
    assert there(file) == "9abet"
    staging.write_text('{"stable": ')
    with pytest.raises(UsageError, match=r"staging\.json: this is no pointer"):
        retention.remove_older(file, 0)
    assert target(file, 0).finalize(ON_TRIAL, False, "").startswith("older models stay: ")  # type: ignore[union-attr]


def test_a_removal_that_was_killed_is_finished_by_the_next(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = shutil.rmtree

    def killed(path: Path) -> None:
        (path / "model.onnx").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            retention.remove_older(file, 1)
    assert shutil.rmtree is whole
    assert there(file) == ".9abcdet"  # nothing half removed under its name
    assert retention.remove_older(file, 1) == [name("e"), name("d")]
    assert there(file) == "9abct"
