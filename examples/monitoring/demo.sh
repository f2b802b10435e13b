#!/usr/bin/env bash
# A canary watched by a real Prometheus: the digits model and its int8 variant, built in FOLDER unless they are there,
# then served, watched, and put in the shade. Further arguments are those of `python -m examples.monitoring.run`.
set -euo pipefail

demo=${1:?usage: demo.sh FOLDER [OPTION...]}
shift
here=$(cd "$(dirname "$0")/../.." && pwd)
bash "$here/examples/demo.sh" "$demo" evaluate@int8
demo=$(cd "$demo" && pwd)
cd "$here"
exec python -m examples.monitoring.run "$demo" "$@"
