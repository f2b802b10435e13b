"""A process that leaves at once has done all that it would have done at its end."""

import subprocess
import sys

CODE = """
import atexit
from concurrent.futures import ThreadPoolExecutor
from makeweight_probe.leaving import leave

class Late:
    def __del__(self): print("taken down")

late, pool = Late(), ThreadPoolExecutor(1)
pool.submit(print, "in a thread").result()
atexit.register(print, "at the end")
leave(3)
"""


def test_what_was_left_to_be_done_is_done_and_nothing_is_taken_down() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (3, "in a thread\nat the end\n", "")
