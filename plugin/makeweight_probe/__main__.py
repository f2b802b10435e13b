"""`python -m makeweight_probe JOB.json RESULT`: one job in one fresh process.

A benchmark begins many of them, so each imports what its own kind of job needs, and nothing else.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from makeweight_probe import ArmKilled, ArmSilent, ProbeFailed
from makeweight_probe.alone import alone
from makeweight_probe.job import (
    AnswersJob,
    BlocksJob,
    EnergyJob,
    FactsJob,
    Job,
    LackingJob,
    MatrixJob,
    MemoryJob,
    PipelineJob,
    ProfileJob,
    Result,
    Setting,
    StartsJob,
    dump_result,
    load_job,
    load_setting,
)
from makeweight_probe.leaving import in_order, lead, leave
from makeweight_probe.sessions import NoProvider, NoSession
from makeweight_probe.setting import NoSetting, held

REFUSED = 3
"""The exit code when the job cannot be carried out here; the reason is the last line of the standard error."""
NO_RUNTIME = 4
"""The same where that is because a runtime is not installed."""
NO_PROVIDER = 5
"""The same where what a model is to be computed by, such as a GPU, is not there."""
NO_SETTING = 6
"""The same where something is to be changed on the machine meanwhile and cannot be."""
LOST = 7
"""The same where a process that it had for a model was ended from outside."""
SILENT = 8
"""The same where such a process does not answer."""

_CODES: dict[type[ProbeFailed], int] = {
    NoSession: NO_RUNTIME,
    NoProvider: NO_PROVIDER,
    NoSetting: NO_SETTING,
    ArmKilled: LOST,
    ArmSilent: SILENT,
}

_ASKED = {FactsJob: "facts:ask", LackingJob: "lacking:ask", AnswersJob: "answers:ask"}
"""What carries out jobs that others may run beside: module and function, by kind."""
_MEASURED = {
    BlocksJob: "arms:in_blocks",
    MatrixJob: "arms:in_batches",
    EnergyJob: "arms:beside_a_meter",
    MemoryJob: "memory:measure",
    ProfileJob: "profile:measure",
    PipelineJob: "pipeline:measure",
    StartsJob: "starts:measure",
}
"""The same of jobs that want a machine for themselves."""


def main(arguments: list[str]) -> int:
    job_path, result_path = arguments
    try:
        asked = Path(job_path).read_text()
        result = run(load_job(asked), load_setting(asked))
    except ProbeFailed as error:
        sys.stderr.write(f"{error}\n")
        return next((code for kind, code in _CODES.items() if isinstance(error, kind)), REFUSED)
    dump_result(result, Path(result_path))
    return 0


def run(job: Job, setting: Setting = Setting()) -> Result:  # noqa: B008 - it is frozen
    """Args:
        setting: what is changed on this machine while it measures.

    Raises:
    ProbeFailed: it cannot be carried out here.
    """
    if (place := _ASKED.get(type(job))) is not None:
        return _function(place)(job)
    # only who is alone may change what others would measure with
    with alone(), held(setting):
        return _function(_MEASURED[type(job)])(job)


def _function(place: str) -> Callable[[Job], Result]:
    module, _, name = place.partition(":")
    found: Callable[[Job], Result] = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    return found


if __name__ == "__main__":
    lead()
    with in_order():
        _code = main(sys.argv[1:])
    leave(_code)
