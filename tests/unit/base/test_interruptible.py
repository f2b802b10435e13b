"""What ends a process from outside ends it in order."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

CODE = """
import os, signal
from makeweight_base.interruptible import interruptible
signal.signal(signal.SIGHUP, signal.{usual})
try:
    with interruptible():
        os.kill(os.getpid(), signal.{number})
        print("goes on")
except KeyboardInterrupt:
    print("interrupted")
print(signal.getsignal(signal.SIGTERM).name, signal.getsignal(signal.SIGHUP).name)
"""


@pytest.mark.parametrize(
    ("number", "usual", "said"),
    [("SIGTERM", "SIG_DFL", "interrupted"), ("SIGHUP", "SIG_DFL", "interrupted"), ("SIGHUP", "SIG_IGN", "goes on")],
    ids=["cancelled", "its terminal is closed", "nohup"],
)
def test_what_is_told_to_end_is_interrupted(number: str, usual: str, said: str) -> None:
    code = CODE.format(number=number, usual=usual)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [said, f"{signal.SIG_DFL.name} {signal.Handlers[usual].name}"]
