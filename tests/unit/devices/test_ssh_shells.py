"""What lies between ssh and the script that is run there: a shell of the user's, of any kind, that may say much."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

import timing_programs
from makeweight.devices.device import DeviceFailed
from makeweight.devices.ssh import Ssh, SshOptions, _shared

# In place of ssh, a login to a folder by a shell that reads as csh does (csh(1), "Lexical structure" and "History
# substitution"), after it has greeted.
LOGIN = """\
for said; do :; done
echo "Welcome to the board"
echo "stty: standard input: Inappropriate ioctl for device" >&2
case $said in
  *'
'*) echo "Unmatched '." >&2; exit 1 ;;
  *!*) echo "Event not found." >&2; exit 1 ;;
esac
cd "${0%/*}" && HOME=$PWD exec sh -c "$said"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "there").mkdir()
    timing_programs.program(tmp_path / "there/ssh", LOGIN)
    monkeypatch.setenv("PATH", f"{tmp_path / 'there'}:{os.environ['PATH']}")
    return tmp_path / "there"


@pytest.fixture
def board(home: Path) -> Ssh:
    return Ssh("board", SshOptions(host="board"))


def test_files_go_there_once_and_come_back_as_they_are(board: Ssh, home: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\0PK\n\xff")
    there = board.put(tmp_path / "model.onnx")
    (home / there).write_bytes(b"what is there is not sent again\n\xfe\0")
    assert board.put(tmp_path / "model.onnx") == there
    board.get(there, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"what is there is not sent again\n\xfe\0"
    with pytest.raises(DeviceFailed, match=r"`gone` cannot be read there: cat: "):
        board.get("gone", tmp_path / "back")


def test_links_go_there_as_what_they_lead_to(board: Ssh, home: Path, tmp_path: Path) -> None:
    """As DVC lays files down with `cache.type symlink`, or `hardlink`, by which equal files are one."""
    (tmp_path / "cached").write_bytes(b"weights")
    (tmp_path / "model.onnx").symlink_to(tmp_path / "cached")
    (tmp_path / "model.bin").hardlink_to(tmp_path / "cached")
    (tmp_path / "more.bin").hardlink_to(tmp_path / "cached")
    lying = home / board.put(*(tmp_path / name for name in ("model.onnx", "model.bin", "more.bin")))
    for name in ("model.onnx", "model.bin", "more.bin"):
        assert not lying.with_name(name).is_symlink()
        assert lying.with_name(name).read_bytes() == b"weights"


def test_what_a_program_is_given_and_says_is_its_own(board: Ssh) -> None:
    given = "a line\nanother! \\0101 \\n 'quoted' \"$HOME\" `date` %s !! µ"
    ended = board.run(["sh", "-c", 'printf %s "$1" >&2; exit 3', "sh", given])
    assert (ended.code, ended.said) == (3, given)


def test_a_private_folder_is_found(board: Ssh, home: Path) -> None:
    own = home / board.furnished / "bin"
    own.mkdir(parents=True)
    timing_programs.program(own / "python", "")
    assert board.python == (f"{board.furnished}/bin/python", "-P")


@pytest.mark.parametrize("place", ["venv/python", "python"])
def test_a_python_below_the_home_folder_is_found_by_its_tilde(home: Path, place: str) -> None:
    (home / place).parent.mkdir(exist_ok=True)
    timing_programs.program(home / place, 'echo "$1" >&2\n')
    board = Ssh("board", SshOptions(host="board", python=f"~/{place}"))
    assert board.run(["env", *board.python]).said == "-P\n"


@pytest.mark.parametrize(("name", "shared"), [("mw", True), ("m w", False), ("m%w", False)])
def test_a_socket_whose_path_ssh_would_misread_is_not_had(
    monkeypatch: pytest.MonkeyPatch, name: str, shared: bool
) -> None:
    """Of this user alone, so in a folder of its own; pytest's are too long for a socket."""
    with tempfile.TemporaryDirectory(prefix=name, dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        assert bool(_shared(None)) == shared
