#!/usr/bin/env bash
# Refuses inputs that are not what they should be: the runner takes anything, and hands it on as text.
# Reads them from the environment; one that is not set is not an input of the action that calls.
set -euo pipefail

refuse() { # input, value, what is wrong with it
  local said
  said="input $1: $(printf '%q' "$2") $3"
  printf '::error title=makeweight::%s\n' "${said//%/%25}"
  exit 2
}

truth() { # input, value
  case $2 in
    true | false) ;;
    *) refuse "$1" "$2" "is neither true nor false" ;;
  esac
}

form() { # input, value, pattern, what is wrong with it
  if [[ ! $2 =~ ^($3)$ ]]; then refuse "$1" "$2" "$4"; fi
}

truth check "${CHECK-true}"
truth commit-lock "${COMMIT_LOCK-true}"
truth push "${PUSH-true}"
truth anew "${ANEW-true}"
truth upload "${UPLOAD-true}"
truth install "${INSTALL-true}"
truth cache "${CACHE-true}"
form comment "${COMMENT-always}" 'always|on-change|on-failure|never|true|false' "is none of always, on-change, on-failure, never"
form base-ref "${BASE_REF-}" '([[:alnum:]_][^[:space:][:cntrl:]~^:?*[\]*)?' "is no name of a branch, tag or commit"
form device "${DEVICE-}" '[A-Za-z0-9_ -]*' "is no list of device names, separated by spaces"
form check-name "${CHECK_NAME-}" '[^[:cntrl:]]{0,100}' "is no name: one line, at most 100 characters"
form python-version "${PYTHON_VERSION-}" '([0-9A-Za-z<>=~^][0-9A-Za-z.<>=~*^, |-]*)?' "is no version of Python, such as 3.12"
form extras "${EXTRAS-}" '[a-z]*(,[a-z]+)*' "is no list of extras, such as dvc,onnx"
form torch-index "${TORCH_INDEX-}" '(https?://[^[:space:]]+)?' "is no URL"

while IFS= read -r file; do
  if [[ -n $file && ! -f $file ]]; then refuse requirements "$file" "is no file in the workspace"; fi
done <<< "${REQUIREMENTS-}"

here=$(pwd -P)
there=$(cd -- "${PROJECT-.}" 2> /dev/null && pwd -P) \
  || refuse project "${PROJECT-.}" "is no folder in the workspace; was the repository checked out?"
case $there/ in
  "$here"/*) ;;
  *) refuse project "${PROJECT-.}" "lies outside of the workspace" ;;
esac

# Artifacts of several projects in one run must not share a name: what is replaced is told apart by a digest.
folder=${there#"$here"}
suffix=$(tr -c 'A-Za-z0-9' '-' <<< "$folder")
suffix=${suffix%-}
if [[ ${folder//\//-} != "$suffix" || $folder == *-* ]]; then
  digest=$(git hash-object --stdin <<< "$folder")
  suffix+=-${digest:0:8}
fi
printf 'suffix=%s\n' "$suffix" >> "$GITHUB_OUTPUT"
