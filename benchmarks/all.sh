#!/usr/bin/env bash
# Every promise about speed, one after the other: nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")"
for benchmark in *.py ci/{unchanged,overhead,install}.py monitors/{observe,scrape,labels,deciders,ingest}.py; do
  echo "== ${benchmark%.py}"
  python "$benchmark"
done
