#!/usr/bin/env bash
# The whole job on a copy of the reference project, so that the checkout stays as it is:
# train the digits model, compress it, measure it, hold it against the budget; or only the stages that are named.
set -euo pipefail

demo=${1:?usage: demo.sh FOLDER [STAGE...]}
shift
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$demo"
cd "$demo"

# Refresh the sources; what an earlier run has made stays, so a second demo re-runs only what changed.
cp "$here/makeweight.yaml" "$here/dvc.yaml" "$here/constraints.txt" "$here/.dvcignore" .
mkdir -p examples
rm -rf examples/digits
cp -R "$here/examples/digits" examples/

if [ ! -d .git ]; then
  git init --quiet
fi
if [ ! -d .dvc ]; then
  dvc init --quiet
  dvc config --quiet core.analytics false
fi

export OMP_WAIT_POLICY=PASSIVE # torch's threads spin while they wait, and starve beside any other load
status=0
dvc repro "$@" || status=$?
if [ $# -eq 0 ] && [ -f reports/verdict.json ]; then
  echo
  makeweight gate || true
  echo "report: $PWD/reports/report.html"
fi
exit "$status"
