#!/usr/bin/env bash
# One of the stories told with a real Prometheus: the digits model and its int8 variant, built in FOLDER unless they are
# there, then served and watched. Further arguments are those of `python -m examples.monitoring.STORY`.
set -euo pipefail

story=${1:?usage: demo.sh STORY FOLDER [OPTION...]}
demo=${2:?usage: demo.sh STORY FOLDER [OPTION...]}
shift 2
here=$(cd "$(dirname "$0")/../.." && pwd)
bash "$here/examples/demo.sh" "$demo" evaluate@int8
demo=$(cd "$demo" && pwd)
cd "$here"
exec python -m "examples.monitoring.$story" "$demo" "$@"
