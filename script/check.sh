#!/usr/bin/env bash
# What `make check` runs: every step, also after one has failed; what a step prints is shown when it fails.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$PWD/.venv/bin:$PATH" NO_COLOR=1

failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT

step() {
  local name=$1 begun=$SECONDS
  shift
  if "$@" >"$out" 2>&1; then
    printf 'ok      %s (%s s)\n' "$name" $((SECONDS - begun))
  else
    failed=1
    printf 'FAILED  %s: %s\n' "$name" "$*"
    sed 's/^/        /' "$out"
  fi
}

step format ruff format --check --output-format concise
step lint ruff check --output-format concise
step types mypy --no-pretty --hide-error-context
step layers lint-imports --no-cache --no-logo
step migrations script/migration.sh check
step floors python script/check_floors.py

exit "$failed"
