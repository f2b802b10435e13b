"""Commands that begin with everything imported, beside the real ones: either shows the same."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import preloaded

REAL = Path(sys.executable).parent
Ended = tuple[int, str, str]


def environment(commands: Path, **more: str) -> dict[str, str]:
    return {**preloaded.first(commands, os.environ), "DVC_NO_ANALYTICS": "1", **more}


def ended(commands: Path, folder: Path, line: str, **more: str) -> Ended:
    """How a line of bash ends in a folder of its own, and what it says there."""
    folder.mkdir()
    (folder / "makeweight.yaml").write_text("name: net\n")
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env=environment(commands, **more),
        input="no key\n",
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, *(said.replace(str(folder), "HERE") for said in (done.stdout, done.stderr))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        pytest.param("makeweight --version", 0, id="an answer"),
        pytest.param("makeweight nonsense", 2, id="arguments that are none"),
        pytest.param("python3 -m makeweight gate --project 'a b'", 2, id="a module"),
        pytest.param("makeweight sign makeweight.yaml --key -", 2, id="standard input"),
        pytest.param("(sleep 1; makeweight schema) | true; exit ${PIPESTATUS[0]}", 4, id="a reader that has gone"),
        pytest.param(
            "umask 077; dvc init -q --no-scm; stat -c %a .dvc/config; mkdir a; cd a; python3 -E -P -m dvc root",
            0,
            id="folder and umask",
        ),
        pytest.param("dvc root", 253, id="DVC's refusal"),
        pytest.param(
            """echo '{"protocol": 0, "kind": "FactsJob"}' > job; python3 -P -m makeweight_probe job answer""",
            3,
            id="a job of the probe",
        ),
        pytest.param("python3 -c 'import sys; print(sys.executable, sys.argv)' 'a b'", 0, id="any other Python"),
        pytest.param(
            "echo 'print(1)' > yaml.py; PYTHONPATH=. makeweight report", 4, id="what is to be imported instead"
        ),
    ],
)
def test_both_say_the_same_and_end_alike(preloaded_commands: Path, tmp_path: Path, line: str, code: int) -> None:
    there = ended(preloaded_commands, tmp_path / "preloaded", line)
    assert there == ended(REAL, tmp_path / "real", line)
    assert there[0] == code


def test_both_monitors_say_the_same_and_end_alike(preloaded_monitors: Path, tmp_path: Path) -> None:
    line = "python3 -m makeweight_monitors exporter --models none.yaml"
    there = ended(preloaded_monitors.parent, tmp_path / "preloaded", line)
    assert there == ended(REAL, tmp_path / "real", line)
    assert there[0] == 2
    assert "none.yaml" in there[2]


@pytest.mark.parametrize("commands", ["preloaded", "real"])
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "interrupted: "),
        (signal.SIGTERM, -signal.SIGTERM, ""),
        (signal.SIGKILL, -signal.SIGKILL, ""),
    ],
)
def test_a_signal_ends_both(
    preloaded_commands: Path, tmp_path: Path, commands: str, number: signal.Signals, code: int, said: str
) -> None:
    command = {"preloaded": preloaded_commands, "real": REAL}[commands] / "makeweight"
    key, answer = tmp_path / "key", tmp_path / "answer"
    os.mkfifo(key)
    os.mkfifo(answer)
    process = subprocess.Popen(
        [command, "sign", answer, "--key", key],
        env=environment(preloaded_commands),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with key.open("w"):  # opens when the command has: it reads from there, and waits
        process.send_signal(number)
        # it comes to its end when nobody holds the output any more
        try:
            told, _ = process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            # Python looks for signals between two of its steps: one that came just before it waited is seen after that
            process.send_signal(number)
            told, _ = process.communicate(timeout=60)
    assert process.returncode == code
    assert told.startswith(said)
    assert bool(told) == bool(said)


def test_nothing_is_left_when_the_commands_go(tmp_path: Path) -> None:
    key = tmp_path / "key"
    os.mkfifo(key)
    with preloaded.commands(tmp_path, modules=["makeweight"]) as folder:
        process = subprocess.Popen(
            [folder / "makeweight", "sign", key, "--key", key],
            env=environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        writing = key.open("w")
        also = os.open(folder / preloaded.HELD, os.O_WRONLY | os.O_NONBLOCK)
    assert ended(folder, tmp_path / "kept", "makeweight --version")[0] == 0, "somebody still has them"
    os.close(also)
    with writing:
        told, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in told
    assert preloaded._BEGUN[-1].wait(60) == 0
    with pytest.raises(OSError) as gone:
        os.open(folder / preloaded.HELD, os.O_WRONLY | os.O_NONBLOCK)
    assert gone.value.errno == errno.ENXIO
