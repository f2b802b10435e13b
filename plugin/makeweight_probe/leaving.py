"""The end of a process that has said all it had to say."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End with that exit code, without taking down piece by piece what was imported: that is a fifth of what a short
    process takes. What was registered for the end, by a runtime or the user's code, is done, and threads are waited
    for; what stands in the buffer of a file that nobody closed is lost."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
