"""LiteRT's `benchmark_model`: means of as many inferences as it is asked for, and memory.

https://github.com/tensorflow/tensorflow/tree/master/tensorflow/lite/tools/benchmark
"""

from __future__ import annotations

import math
import re

from makeweight.programs.program import Asked, CannotRun, Garbage, Told, checked, free

_NUMBER = r"([-+.\w]+)"
_TIMES = re.compile(rf"Inference timings in us: Init: {_NUMBER}, .*Inference \(avg\): {_NUMBER}")
_COUNT = re.compile(r"\bcount=(\d+)")
# the second is what it was called until 2021
_MEMORY = re.compile(
    rf"(?:Memory footprint delta from the start of the tool|Peak memory footprint) \(MB\): init={_NUMBER} "
    rf"overall={_NUMBER}"
)
_MICRO, _MIB = 1e3, 1 << 20
"""ns in a microsecond; what it calls MB is 1024 kB."""


class BenchmarkModel:
    """Its first inferences, for at least 50 ms, are told apart and do not count."""

    name = "benchmark_model"
    feeds = "random numbers"
    memory = "benchmark_model: highest resident memory over that at its start"

    def words(self, binary: str, asked: Asked) -> list[str]:
        for name, _, wanted in free(asked):
            # what a file leaves free it has as 1 itself
            if wanted != 1:
                raise CannotRun(
                    f"benchmark_model runs a file at the sizes that stand in it, and `{name}` is to have {wanted} "
                    "where the file leaves the size free"
                )
        return [
            binary,
            f"--graph={asked.model}",
            f"--num_threads={asked.threads}",
            f"--num_runs={asked.runs}",
            "--min_secs=0",
            "--warmup_runs=1",
            "--warmup_min_secs=0.05",
        ]

    def told(self, printed: str, runs: int) -> Told:
        found = _TIMES.search(printed)
        if found is None:
            raise Garbage("there is no line `Inference timings in us: …`")
        counts = [int(count) for count in _COUNT.findall(printed)]
        memory = _MEMORY.search(printed)
        return Told(
            checked([_float(found[2]) * _MICRO], found[0]),
            averaged=counts[-1] if counts else runs,
            memory=memory and {"load": round(_float(memory[1]) * _MIB), "run": round(_float(memory[2]) * _MIB)},
        )


def _float(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise Garbage(f"`{text}` is no number") from error
    if not math.isfinite(value):
        raise Garbage(f"`{text}` is no number")
    return value
