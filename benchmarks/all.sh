#!/usr/bin/env bash
# Every promise about speed, one after the other: nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")"
for benchmark in *.py noise/decisions.py ci/{unchanged,overhead,install}.py monitors/{observe,scrape,labels,deciders,ingest}.py; do
  echo "== ${benchmark%.py}"
  python "$benchmark"
done
# Beside a real Prometheus, Debian's where there is none; in short: more trials as each file says.
found='from pathlib import Path; from examples.monitoring import package; print(package.programs(Path("build/prometheus")).prometheus.parent)'
PATH="$PATH:$(cd .. && realpath "$(python -c "$found")")"
for benchmark in "rollback/rest.py" "rollback/seconds.py --trials 10" "rollback/killed.py --trials 10"; do
  echo "== $benchmark"
  # shellcheck disable=SC2086
  python $benchmark
done
