"""ExecuTorch's `executor_runner`: a line for each inference, or their sum in older ones.

https://github.com/pytorch/executorch/tree/main/examples/portable/executor_runner
"""

from __future__ import annotations

import re

from makeweight.programs.program import Asked, Garbage, Told, checked, free

_EACH = re.compile(r"Iteration \d+ of \d+: ([-+.\w]+) ms")
_ALL = re.compile(r"Model executed successfully (\d+) time\(s\) in ([-+.\w]+) ms")
_MILLI = 1e6


class ExecutorRunner:
    """It runs nothing before what counts, so it is asked for one inference more, and the first is dropped if it is told
    apart."""

    name = "executor_runner"
    feeds = "ones"
    memory = "executor_runner tells no memory"

    def words(self, binary: str, asked: Asked) -> list[str]:
        words = [
            binary,
            f"--model_path={asked.model}",
            f"--num_executions={asked.runs + 1}",
            f"--cpu_threads={asked.threads}",
        ]
        if free(asked):
            # without it the largest sizes that the program allows are run, and older runners do not know it
            shapes = ("x".join(map(str, asked.sizes[name])) for name in asked.ports)
            words.append(f"--input_shapes={','.join(shapes)}")
        return words

    def told(self, printed: str, runs: int) -> Told:  # noqa: ARG002  (it says how many by itself)
        whole = _ALL.search(printed)
        if whole is None:
            raise Garbage("there is no line `Model executed successfully … time(s) in … ms`")
        count = int(whole[1])
        try:
            each = [float(found[1]) * _MILLI for found in _EACH.finditer(printed)]
            if len(each) > 1:
                return Told(checked(each[1:], "Iteration …"))
            return Told(checked([float(whole[2]) * _MILLI / max(count, 1)], whole[0]), averaged=count)
        except ValueError as error:
            raise Garbage(f"a time is no number, in `{whole[0]}`") from error
