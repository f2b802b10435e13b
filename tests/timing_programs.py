"""Programs that print what the benchmark programs of runtimes do, for models whose time is known: it stands in them."""

from __future__ import annotations

from pathlib import Path

BENCHMARK_MODEL = """\
for word in "$@"; do
  case "$word" in
    --graph=*) graph=${word#--graph=} ;;
    --num_runs=*) runs=${word#--num_runs=} ;;
  esac
done
us=$(cat "$graph") || exit 1
echo "INFO: STARTING!" >&2
echo "INFO: count=3 first=900 curr=1 min=1 max=1 avg=900 std=0" >&2
echo "INFO: count=$runs first=$us curr=$us min=$us max=$us avg=$us std=0" >&2
echo "INFO: Inference timings in us: Init: 10, First inference: 900, Warmup (avg): 900, Inference (avg): $us" >&2
echo "INFO: Memory footprint delta from the start of the tool (MB): init=1.5 overall=$us" >&2
"""
PERF_TEST = """\
runs=1; while [ $# -gt 2 ]; do [ "$1" = -r ] && runs=$2; shift; done
echo "Session creation time cost: 0.0183481 s"
us=$(cat "$1") || exit 1
run=0; while [ $run -lt $runs ]; do echo "model,$((us + run % 3))e-6,50905088,74,$run"; run=$((run + 1)); done >> "$2"
"""


def program(path: Path, script: str) -> Path:
    """A program in sh."""
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)
    return path


def model(path: Path, microseconds: int) -> str:
    """A file that such a program takes for a model that takes so long."""
    path.write_text(str(microseconds))
    return str(path)
