#!/usr/bin/env bash
# An environment of its own, so that nothing of the workflow's Python changes; and what pip's cache is filed under.
set -euo pipefail

# This runs in the checkout, of which nothing is imported: neither a `venv.py` (-I) nor what a PYTHONPATH of the
# workflow's finds, which is for its own code.
unset PYTHONPATH
venv=$RUNNER_TEMP/makeweight/venv
"${PYTHON:-python3}" -I -m venv "$venv"

# setup-python's own cache sees only files of the workspace, and these two are the action's
files=("$ROOT/pyproject.toml" "$ROOT/constraints.txt")
while IFS= read -r file; do
  if [[ -n $file ]]; then files+=("$file"); fi
done <<< "$REQUIREMENTS"

digest=$({ printf '%s\n' "$EXTRAS" "$TORCH_INDEX" && cat -- "${files[@]}"; } | git hash-object --stdin)
version=$("$venv/bin/python" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')
folder=$("$venv/bin/python" -I -m pip cache dir)
printf '%s\n' "folder=$folder" "python=$version" "digest=$digest" >> "$GITHUB_OUTPUT"
