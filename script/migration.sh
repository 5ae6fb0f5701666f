#!/usr/bin/env bash
# Compare the migrations with the models, on an empty SQLite file that is thrown away.
#
#   script/migration.sh check              fails when the models say something that no migration does
#   script/migration.sh new "add a column" writes that migration
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
alembic=(.venv/bin/python -m alembic -x "url=sqlite:///$folder/check.db")

case ${1-} in
check)
  "${alembic[@]}" upgrade head
  "${alembic[@]}" check
  "${alembic[@]}" downgrade base
  ;;
new)
  "${alembic[@]}" upgrade head
  number=$(printf '%04d' $(($(find migration/versions -name '[0-9]*.py' | wc -l) + 1)))
  "${alembic[@]}" revision --autogenerate --rev-id "$number" -m "$2" >/dev/null
  file=$(echo "migration/versions/${number}_"*.py)
  grep -v '# ### ' "$file" >"$folder/version.py" && cp "$folder/version.py" "$file"
  .venv/bin/ruff check --quiet --fix --select I,UP "$file"
  .venv/bin/ruff format --quiet "$file"
  echo "$file"
  ;;
*)
  echo 'usage: script/migration.sh check | new "what it changes"' >&2
  exit 2
  ;;
esac
