#!/usr/bin/env bash
# Every promise about speed, one after the other: nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")"
for benchmark in *.py ci/{unchanged,overhead,install}.py monitors/{observe,scrape,labels,deciders,ingest}.py; do
  echo "== ${benchmark%.py}"
  python "$benchmark"
done
# Beside a real Prometheus, in short: more trials as each file says.
PATH="$PATH:$PWD/../build/prometheus/usr/bin"
for benchmark in "rollback/rest.py" "rollback/seconds.py --trials 10" "chaos/killed.py --trials 10"; do
  echo "== $benchmark"
  # shellcheck disable=SC2086
  python $benchmark
done
