"""A private folder on a machine over SSH that has a bare Python and no package index; what else it may lack."""

from __future__ import annotations

import json
import os
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import sshd
from file_locks import waited_for
from makeweight.bench import bootstrap as furnishing
from makeweight.devices.device import DeviceFailed, DeviceOptions
from makeweight.devices.local import Local
from makeweight.devices.ssh import Ssh, SshOptions
from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_probe import bootstrap
from makeweight_probe.alone import LOCK, locked

NEEDED = ["tiny==1.0"]


def wheel(folder: Path) -> Path:
    """The smallest that pip installs."""
    folder.mkdir(exist_ok=True)
    path = folder / "tiny-1.0-py3-none-any.whl"
    about = "tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", "SIZE = 1\n")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "tiny.py,,\n")
    return path


def python(path: Path, lines: str) -> Path:
    """A Python there that does something else first."""
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Server]:
    with sshd.running(tmp_path_factory.mktemp("bootstrap")) as server:
        yield server


def test_a_machine_without_an_index_is_given_wheels_and_then_measures_with_its_own_python(
    server: sshd.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = python(
        tmp_path / "bare",
        "export PIP_INDEX_URL=http://127.0.0.1:1/ PIP_CONFIG_FILE=/dev/null\n"
        f'exec {Path(sys.executable).resolve()} "$@"',
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel(tmp_path / "index").parent))
    options = SshOptions(host=sshd.HOST, python=str(bare), config=str(server.config))

    def board() -> Ssh:
        return Ssh("board", options)

    folder = server.folder / "home" / board().furnished
    left = folder.with_name(f"{folder.name}.new") / "of one that was killed"
    left.mkdir(parents=True)
    assert board().python == (str(bare), "-P")
    said: list[str] = []
    assert furnishing.furnish(board(), NEEDED, [], said.append)
    assert "wheels are fetched from here" in said[-1]
    assert not left.parent.exists()
    own = board()
    assert own.python[0].startswith(".cache/makeweight/python-")
    ended = own.run([*own.python, "-c", "import sys, tiny; sys.exit(f'{sys.prefix} {tiny.SIZE}')"])
    assert ended.said.split() == [str(folder), "1"]
    assert not furnishing.furnish(board(), NEEDED, [], said.append), "all is there already"


def lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> str:
    """What is told where making an environment says so."""
    monkeypatch.setattr(sys, "executable", str(python(tmp_path / "python", f"echo '{said}' >&2\nexit 1")))
    answer = bootstrap.run(tmp_path / "own", NEEDED, [], None)
    assert answer["said"] == said
    assert not list(tmp_path.glob("own/*")), "nothing half-made is left"
    return str(answer["lacking"])


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("The virtual environment was not created successfully because ensurepip is not available.", "venv"),
        ("/usr/bin/python3: No module named venv", "venv"),
        ("OSError: [Errno 28] No space left on device", "disk"),
        ("Segmentation fault", "unknown"),
    ],
    ids=["ensurepip", "venv", "disk", "else"],
)
def test_what_is_lacking_is_told_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, what: str) -> None:
    assert lacking(tmp_path, monkeypatch, said) == what


def test_what_debian_says_without_venv_is_one_sentence_over_two_lines() -> None:
    said = (
        "The virtual environment was not created successfully because ensurepip is not\n"
        "available.  On Debian/Ubuntu systems, you need to install the python3-venv\n"
        "package using the following command.\n\n    apt install python3.11-venv\n\n"
        "Failing command: /root/own/bin/python3\n"
    )
    assert bootstrap.lacking(said) == "venv"
    assert bootstrap.error(said).endswith("because ensurepip is not available.")


def test_what_pip_says_of_a_missing_wheel_and_of_no_network() -> None:
    said = (
        "ERROR: Could not find a version that satisfies the requirement onnxruntime==9 (from versions: 1.23.2)\n"
        "ERROR: No matching distribution found for onnxruntime==9"
    )
    assert bootstrap.lacking(said) == "wheel"
    assert bootstrap.error(said).startswith("Could not find a version")
    bare = "ERROR: Could not install packages due to an OSError: Could not find a suitable TLS CA certificate bundle, "
    assert bootstrap.lacking(f"{bare}invalid path: /etc/ssl/certs/ca-certificates.crt") == "network"
    refused = "WARNING: Retrying ... [Errno 111] Connection refused')': /simple/numpy/\n" + said
    assert bootstrap.lacking(refused) == "network", "without an index it finds no version of anything"


def test_what_stays_lacking_is_told_with_what_helps(server: sshd.Server, tmp_path: Path) -> None:
    answer = {"lacking": "venv", "said": "ensurepip is not available"}
    fake = python(tmp_path / "fake", f"for last; do :; done\necho '{json.dumps(answer)}' > \"$last\"")
    board = Ssh("board", SshOptions(host=sshd.HOST, python=str(fake), config=str(server.config)))
    with pytest.raises(DeviceFailed, match=r"device `board`: ensurepip is not available\n.*apt install python3-venv"):
        furnishing.furnish(board, NEEDED, [], print)
    with pytest.raises(UsageError, match=r"device `here` is of a kind that has no private folder"):
        furnishing.furnish(Local("here", DeviceOptions()), NEEDED, [], print)


def test_no_wheel_here_for_the_python_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    answer = {"python": "3.11", "platforms": ["manylinux2014_riscv64"]}
    with pytest.raises(
        EnvironmentFailed, match=r"tiny==1\.0.*\n.*no wheel for its Python and architecture: name another"
    ):
        furnishing._fetched(tmp_path, NEEDED, answer)


def test_versions_are_those_that_are_here_unless_others_are_named() -> None:
    from importlib.metadata import version

    assert furnishing.requirements(["onnxruntime"]) == [
        f"numpy=={version('numpy')}",
        f"onnxruntime=={version('onnxruntime')}",
    ]
    assert furnishing.requirements(["onnxruntime"], ["OnnxRuntime==1.23.2"]) == [
        "OnnxRuntime==1.23.2",
        f"numpy=={version('numpy')}",
    ]


def test_what_is_there_stays_as_long_as_something_measures_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another computer has it made anew, of other versions, meanwhile."""
    own, lock = tmp_path / "own", tmp_path / "lock"
    for made in ("old", "new"):
        monkeypatch.setattr(bootstrap, "_make", lambda fresh, *_, made=made: (fresh.mkdir(), (fresh / made).touch()))
        if made == "old":
            assert bootstrap.run(own, NEEDED, [], None) == {"made": True}
    monkeypatch.setenv(LOCK, str(lock))
    with ThreadPoolExecutor(1) as beside, locked(lock, lambda: None):
        asked = beside.submit(bootstrap.run, own, ["tiny==2.0"], [], None)
        while not waited_for(lock):
            assert not asked.done(), asked.result()
            time.sleep(0.02)
        still = [path.name for path in own.iterdir()]
    assert asked.result() == {"made": True}
    assert (still, [path.name for path in own.iterdir()]) == (["old"], ["new"])
