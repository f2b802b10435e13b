"""Jobs of the probe on this machine, carried out by the process that asks: `with probing.here(): ...`

Each would be a fresh process, which imports NumPy and a runtime anew: a third of a CPU-second, several times for most
verbs. This is for tests of what is asked and what comes of it. How such a process begins, ends and dies, and what it
imports, is tested with real ones; jobs that ask for memory, or run the user's code, get them here as well.
"""

from __future__ import annotations

import contextlib
import gc
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from makeweight.devices.device import Ended
from makeweight.devices.local import Local
from makeweight_probe import ProbeFailed
from makeweight_probe import __main__ as probe
from makeweight_probe.job import (
    AnswersJob,
    BlocksJob,
    FactsJob,
    MatrixJob,
    ProfileJob,
    dump_result,
    load_job,
    load_setting,
)

KINDS = (AnswersJob, BlocksJob, FactsJob, MatrixJob, ProfileJob)
"""What this process answers as a fresh one does, and what leaves nothing behind in it."""


@contextlib.contextmanager
def here() -> Iterator[None]:
    """As long as the block lasts."""
    fresh = Local.run

    def run(self: Local, command: Sequence[str]) -> Ended:
        module, question, answer = ("", "", "", *command)[-3:]
        asked = Path(question).read_text() if module == "makeweight_probe" else ""
        if not asked or not isinstance(job := load_job(asked), KINDS):
            return fresh(self, command)
        try:
            dump_result(probe.run(job, load_setting(asked)), Path(answer))
        except ProbeFailed as error:
            codes = (code for kind, code in probe._CODES.items() if isinstance(error, kind))
            return Ended(next(codes, probe.REFUSED), f"{error}\n")
        except Exception:  # noqa: BLE001 - a process would end with it
            return Ended(1, traceback.format_exc())
        finally:
            gc.enable()  # which a process that times something has switched off when it ends
        return Ended(0, "")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Local, "run", run)
        yield
