"""ONNX Runtime's `onnxruntime_perf_test`: the time of each inference, in the file of results that it writes.

https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html and its `-h`.
"""

from __future__ import annotations

import re

from makeweight.programs.program import Asked, CannotRun, Garbage, Told, checked, free

# model, seconds, peak working set, average CPU usage, number of the run
_ROW = re.compile(r"^[^,\n]*,([-+.\w]+),\d+,-?\d+,\d+\s*$", re.MULTILINE)
_NS = 1e9


class PerfTest:
    """It runs once before what counts."""

    name = "onnxruntime_perf_test"
    feeds = "numbers of its own"
    memory = "onnxruntime_perf_test tells only the peak of all that it takes, the runtime with it"

    def words(self, binary: str, asked: Asked) -> list[str]:
        # what is not said is 1
        other = [(name, size, wanted) for name, size, wanted in free(asked) if wanted != 1]
        for name, size, wanted in other:
            if not isinstance(size, str):
                raise CannotRun(f"a size of `{name}` is to be {wanted}, and the file leaves it free without a name")
        set_to = {str(size): wanted for _, size, wanted in other}
        sizes = [word for size, wanted in set_to.items() for word in ("-f", f"{size}:{wanted}")]
        times = ["-m", "times", "-r", f"{asked.runs}", "-x", f"{asked.threads}", "-y", "1"]
        return [binary, "-I", *times, *sizes, asked.model, asked.result]

    def told(self, printed: str, runs: int) -> Told:
        rows = list(_ROW.finditer(printed))
        if not rows:
            raise Garbage("there are no rows `model,seconds,…` in its file of results")
        if len(rows) != runs:
            raise Garbage(f"its file of results has {len(rows)} rows for {runs} runs")
        times: list[float] = []
        for row in rows:
            try:
                times += checked([float(row[1]) * _NS], row[0])
            except ValueError as error:
                raise Garbage(f"`{row[1]}` is no number") from error
        return Told(tuple(times))
