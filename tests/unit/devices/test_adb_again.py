"""A connection to an Android device that breaks for a moment: what does no harm twice is tried again, as over SSH."""

from __future__ import annotations

from pathlib import Path

import pytest

import timing_programs
from makeweight.devices import adb, again
from makeweight.devices.adb import Adb, AdbOptions
from makeweight.devices.adb_refusals import broken
from makeweight.devices.again import Broken
from makeweight.devices.device import DeviceFailed, GivenUp
from makeweight_base.errors import Exit

# In place of adb: it fails once before it does what it is asked to, or once afterwards; what it says stands in a file
ADB = """\
home=${0%/*}
echo "$3" >> "$home/asked"
if [ -f "$home/before" ]; then cat "$home/before" >&2; rm "$home/before"; exit 1; fi
shift 2
case $1 in
  shell) cd "$home" && sh -c "$3" ;;
  push) shift; for to; do :; done; while [ $# -gt 1 ]; do cp "$1" "$to"; shift; done ;;
  pull) cp "$2" "$3" ;;
  get-state) echo device; exit ;;
esac
code=$?
if [ -f "$home/after" ]; then cat "$home/after" >&2; rm "$home/after"; exit 255; fi
exit $code
"""
PASSING = ("error: closed\n", "adb: error: failed to get feature set: device offline\n", "")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("adbutils")
    (tmp_path / "there").mkdir()
    monkeypatch.setenv("ADBUTILS_ADB_PATH", str(timing_programs.program(tmp_path / "there/adb", ADB)))
    monkeypatch.setattr(again, "PAUSE", 0.0)
    return tmp_path / "there"


@pytest.fixture
def phone(home: Path) -> Adb:
    return Adb("pixel", AdbOptions(serial="8A1X", folder=str(home / "kept")))


@pytest.mark.parametrize("said", PASSING, ids=["closed", "offline", "silent"])
def test_files_go_there_and_come_back(phone: Adb, home: Path, tmp_path: Path, said: str) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\0PK\n\xff")
    (home / "before").write_text(said)
    there = phone.put(tmp_path / "model.onnx")
    (home / "before").write_text(said)
    phone.get(there, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"\0PK\n\xff"
    assert not (home / "before").exists()
    assert (home / "asked").read_text().split().count("pull") == 2


def test_a_push_that_broke_is_made_again(phone: Adb, home: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"m")
    moved = phone._adb

    def breaks(words: list[str], *given: object) -> object:
        if words[0] == "push" and not (home / "pushed").exists():
            (home / "pushed").touch()
            (home / "before").write_text("error: closed\n")
        return moved(words, *given)  # type: ignore[arg-type]

    phone._adb = breaks  # type: ignore[method-assign, assignment]
    lying = Path(phone.put(tmp_path / "model.onnx"))
    assert lying.read_bytes() == b"m"
    assert (home / "asked").read_text().split().count("push") == 2
    assert not list(lying.parent.parent.glob("*.*")), "nothing half-written stays there"


def test_a_program_is_tried_again_where_it_has_not_begun(phone: Adb, home: Path) -> None:
    """What has begun is not: half of it may be done. Nor is what adb says taken for what the program said."""
    (home / "kept").mkdir()
    count = ["sh", "-c", f"echo ran >> {home}/ran; echo err >&2; exit 3"]
    (home / "before").write_text("error: device offline\n")
    ended = phone.run(count)
    assert (ended.code, ended.said) == (3, "err\n")
    assert (home / "ran").read_text() == "ran\n"
    (home / "after").write_text("error: closed\n")
    phone.run(count)
    assert (home / "ran").read_text() == "ran\nran\n"


def test_what_another_attempt_would_meet_too_is_told_at_once(phone: Adb, home: Path, tmp_path: Path) -> None:
    (home / "kept").mkdir()
    for ask in (lambda: phone.get("x", tmp_path / "x"), lambda: phone.run(["true"])):
        (home / "asked").unlink(missing_ok=True)
        (home / "before").write_text("error: device unauthorized.\n")
        with pytest.raises(DeviceFailed, match="it has not allowed this computer to reach it") as told:
            ask()
        assert told.value.exit_code == Exit.ENVIRONMENT
        assert len((home / "asked").read_text().split()) == 1


def test_a_device_that_does_not_answer_has_no_program_to_wait_longer_for(
    phone: Adb, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`patience` is no remedy, and no model's fault either."""
    monkeypatch.setattr(adb, "_SIMPLE", 0.2)
    timing_programs.program(home / "adb", "exec sleep 600\n")
    with pytest.raises(
        DeviceFailed, match=r"^device `pixel`: it has not answered for 0\.2 s\n.*`adb kill-server`"
    ) as told:
        phone.put(Path(__file__))
    assert not isinstance(told.value, GivenUp)
    assert "patience" not in str(told.value)


def test_another_measurement_that_never_ends_is_given_up_like_a_program(phone: Adb, home: Path) -> None:
    """As on every other device: a search tries that model another time."""
    timing_programs.program(home / "adb", "case $5 in mkdir*) exit ;; esac\necho waits\nexec sleep 600\n")
    phone.options = phone.options.model_copy(update={"patience": 0.2})
    with (
        pytest.raises(GivenUp, match=r"another measurement has been running there for 0\.2 s\n.*`patience:`"),
        phone.alone(print),
    ):
        pass


@pytest.mark.parametrize(
    ("said", "again"),
    [
        ("error: closed\n", True),
        ("error: protocol fault (couldn't read status): Connection reset by peer\n", True),
        ("", True),
        ("error: device '8A1X' not found\n", False),
        ("adb: error: failed to copy: No space left on device\n", False),
        ("cat: gone: No such file or directory\n", False),
    ],
    ids=["closed", "reset", "silent", "unknown", "full", "missing"],
)
def test_a_connection_that_broke_is_told_from_one_that_is_refused(said: str, again: bool) -> None:
    told = broken("pixel", "8A1X", "/data/local/tmp/makeweight", said)
    assert isinstance(told, Broken) is again
    assert told.do
