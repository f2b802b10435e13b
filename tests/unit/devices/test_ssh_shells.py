"""What lies between ssh and the script that is run there: a shell of the user's, of any kind, that may say much."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

import timing_programs
from makeweight.bench import probe
from makeweight.devices import again
from makeweight.devices.device import DeviceFailed
from makeweight.devices.ssh import Ssh, SshOptions, _shared
from makeweight_base.errors import Exit

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


# A connection that breaks once, before anything runs there or after all of it has: what ssh says stands in a file
BREAKS = """\
home=${0%/*}
if [ -f "$home/before" ]; then
  [ -p /dev/stdin ] || cat >/dev/null
  cat "$home/before" >&2; rm "$home/before"; exit 255
fi
"""
AFTERWARDS = """\
if [ -f "$HOME/after" ]; then
  sh -c "$said"; cat "$HOME/after" >&2; rm "$HOME/after"; exit 255
fi
"""
KEPT = ".cache/makeweight"
RESET = "kex_exchange_identification: read: Connection reset by peer\n"


@pytest.fixture
def breaking(home: Path, board: Ssh, monkeypatch: pytest.MonkeyPatch) -> Ssh:
    head, tail = LOGIN.split('cd "${0%/*}" && ')
    script = f'{BREAKS}{head}cd "${{0%/*}}" && export HOME=$PWD\n{AFTERWARDS}{tail.replace("HOME=$PWD ", "")}'
    timing_programs.program(home / "ssh", script)
    monkeypatch.setattr(again, "PAUSE", 0.0)
    return board


def test_an_exit_code_of_255_is_the_programs_own(board: Ssh) -> None:
    """It is ssh's word for its own failure, and that of `sys.exit(-1)`."""
    ended = board.run(["sh", "-c", "printf 'out of range' >&2; exit 255"])
    assert (ended.code, ended.said) == (255, "out of range")
    assert board.run(["sh", "-c", "kill -9 $$"]).code == -9


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("said", [RESET, ""], ids=["reset", "silent"])
def test_what_does_no_harm_twice_is_tried_again(
    breaking: Ssh, home: Path, tmp_path: Path, when: str, said: str
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\0PK\n\xff")
    (home / when).write_text(said)
    there = breaking.put(tmp_path / "model.onnx")
    (home / when).write_text(said)
    breaking.get(there, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"\0PK\n\xff"
    assert not (home / when).exists()
    (home / when).write_text(said)
    breaking._send({"model.onnx": tmp_path / "model.onnx"}, f"{KEPT}/0123")
    assert (home / KEPT / "0123/model.onnx").read_bytes() == b"\0PK\n\xff", "what was read once is sent anew"
    assert not list((home / KEPT).glob("*.*")), "nothing half-written stays there"


def test_a_program_is_tried_again_where_it_has_not_begun(breaking: Ssh, home: Path) -> None:
    count = ["sh", "-c", "echo ran >> ran"]
    (home / "before").write_text(RESET)
    assert breaking.run(count).code == 0
    assert (home / "ran").read_text() == "ran\n"
    (home / "after").write_text("client_loop: send disconnect: Broken pipe\n")
    with pytest.raises(DeviceFailed, match=r"device `board`: the connection was lost\n.*run again") as lost:
        breaking.run(count)
    assert lost.value.exit_code == Exit.ENVIRONMENT
    assert (home / "ran").read_text() == "ran\nran\n"


def test_what_another_attempt_would_meet_too_is_told_at_once(breaking: Ssh, home: Path, tmp_path: Path) -> None:
    (home / "before").write_text("pi@board: Permission denied (publickey).\n")
    with pytest.raises(DeviceFailed, match="it accepts no key of yours"):
        breaking.get("x", tmp_path / "x")


def test_files_below_the_folder_of_the_first_go_there_by_their_paths(board: Ssh, home: Path, tmp_path: Path) -> None:
    """As the weights of an ONNX file may lie, two of the same name among them."""
    given = [tmp_path / "given" / name for name in ("model.onnx", "weights/a.bin", "other/a.bin")]
    for file in given:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{file.parent.name}/{file.name}")
    lying = (home / board.put(*given)).parent
    assert [(lying / file.relative_to(tmp_path / "given")).read_text() for file in given] == [
        "given/model.onnx", "weights/a.bin", "other/a.bin",
    ]  # fmt: skip


def test_an_answer_of_before_is_none_of_now(board: Ssh, home: Path, tmp_path: Path) -> None:
    """The same is asked twice, or by two at once, and the second process ends as if all were well and says nothing."""
    python = timing_programs.program(home / "python", 'for last; do :; done\necho "$$" > "$last"\n')

    def ask() -> str:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        return probe.process(board, ["./python"], "probe", "the same", "answer.json", folder, print).read_text()

    assert ask() != ask(), "each has the answer of its own process"
    timing_programs.program(python, "exit 0\n")
    with pytest.raises(DeviceFailed, match="cannot be read there"):
        ask()


def test_what_ended_ssh_here_is_not_taken_for_what_ended_a_program_there(board: Ssh, home: Path) -> None:
    timing_programs.program(home / "ssh", "kill -9 $$\n")
    with pytest.raises(DeviceFailed, match=r"device `board`: `ssh` was ended here by signal 9\n.*short of memory"):
        board.run(["true"])


def test_a_machine_that_runs_nothing_and_says_that_all_is_well_is_told(board: Ssh, home: Path, tmp_path: Path) -> None:
    """As where .bashrc begins another shell, which finds nothing to read and ends: an empty file was its answer."""
    timing_programs.program(home / "ssh", "echo 'Welcome to fish'\n")
    (tmp_path / "model.onnx").write_bytes(b"m")
    for ask in (
        lambda: board.put(tmp_path / "model.onnx"),
        lambda: board.get("there", tmp_path / "back"),
        lambda: board.run(["true"]),
    ):
        with pytest.raises(DeviceFailed, match=r"what it is asked to run does not run there\n.*`ssh board echo hello`"):
            ask()
    assert not (tmp_path / "back").exists()


def test_an_account_that_refuses_without_a_word_has_not_lost_the_connection(board: Ssh, home: Path) -> None:
    """/usr/sbin/nologin prints to the standard output."""
    timing_programs.program(home / "ssh", "echo 'This account is currently not available.'; exit 1\n")
    with pytest.raises(DeviceFailed, match="a shell cannot be run there: exit code 1, and it says nothing"):
        board.put(Path(__file__))


def test_what_fails_there_fails_in_english_and_what_is_measured_keeps_its_locale(
    board: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert board._said('echo "$LC_ALL"') == "C\n"
    assert board.run(["sh", "-c", 'printf %s "$LC_ALL" >&2']).said == "de_DE.UTF-8"
