#!/usr/bin/env bash
# makeweight, from the very files that this action came with, at $RUNNER_TEMP/makeweight/bin/makeweight.
set -euo pipefail

bin=$RUNNER_TEMP/makeweight/bin
mkdir -p "$bin"

if [[ $INSTALL == false ]]; then
  if ! found=$(command -v makeweight); then
    echo "::error title=makeweight::install is false, and no makeweight is on the PATH:" \
      "install it in a step before, or leave install at true"
    exit 2
  fi
  ln -sf "$found" "$bin/makeweight"
  exit
fi

venv=$RUNNER_TEMP/makeweight/venv
wanted=()
while IFS= read -r file; do
  if [[ -n $file ]]; then wanted+=(--requirement="$file"); fi
done <<< "$REQUIREMENTS"
# without a lock of the user's, the versions that this revision was tested with
if [[ ${#wanted[@]} == 0 ]]; then wanted+=(--constraint="$ROOT/constraints.txt"); fi
if [[ -n $TORCH_INDEX ]]; then wanted+=(--extra-index-url="$TORCH_INDEX"); fi

# Bytecode is written where it is needed, at the first import: that of everything costs as much as all the rest.
options=(--quiet --disable-pip-version-check --no-compile)
# As in environment.sh, nothing is imported from the checkout, against which pip resolves the paths in requirements files.
# What is installed starts so too, and leaves the PYTHONPATH to the stages below it.
unset PYTHONPATH
"$venv/bin/python" -I -m pip install "${options[@]}" "${wanted[@]}" "$ROOT${EXTRAS:+[$EXTRAS]}"
printf '#!/usr/bin/env bash\nexec %q -I -m makeweight "$@"\n' "$venv/bin/python" > "$bin/makeweight"
chmod +x "$bin/makeweight"
