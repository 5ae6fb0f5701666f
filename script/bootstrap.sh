#!/usr/bin/env bash
# Make .venv hold exactly what uv.lock says, on a machine that has git, make, Python and a package index.
#
#   script/bootstrap.sh           quick (a few milliseconds) when nothing has changed since the last time
#   script/bootstrap.sh --force   asks uv in any case
#
# UV_PYTHON names the interpreter to use; without it, a suitable one is looked for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

STAMP=.venv/.installed
UV_VERSION=0.13.8 # what is installed privately
UV_OLDEST=13      # 0.N: the oldest that is used when it is on the PATH

# The stamp holds the place of the tree: a moved or copied .venv is of no use.
if [[ ${1-} != --force && -x .venv/bin/python && -f $STAMP && $(<"$STAMP") == "$PWD" &&
  $STAMP -nt uv.lock && $STAMP -nt pyproject.toml && $STAMP -nt script/bootstrap.sh ]]; then
  exit 0
fi

# What is in .venv/bin names the place that it was made for.
if [[ -f $STAMP && $(<"$STAMP") != "$PWD" ]]; then
  rm -rf .venv
fi

say() { printf '%s\n' "$*" >&2; }

# Whether $1 is a CPython that the project runs on, with what it needs of the standard library.
suits() {
  "$1" - >/dev/null 2>&1 <<'PY'
import ctypes, sqlite3, ssl, sys, sysconfig
ok = sys.implementation.name == "cpython" and (3, 12) <= sys.version_info[:2] < (3, 15)
ok = ok and not sysconfig.get_config_var("Py_GIL_DISABLED") and sys.maxsize > 2**32
sqlite3.connect(":memory:").execute("create virtual table t using fts5(x)")
sys.exit(not ok)
PY
}

# Print the absolute path of a suitable Python. Each candidate is run: a shim of pyenv or asdf may be there and only
# say that its version is not active, and uv does not look into their folders.
find_python() {
  local python
  shopt -s nullglob
  for python in ${UV_PYTHON:-} "$PWD/.venv/bin/python" python3.12 python3.13 python3.14 python3 python \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[234]*/bin/python3 \
    "${ASDF_DATA_DIR:-$HOME/.asdf}"/installs/python/3.1[234]*/bin/python3 \
    "${XDG_DATA_HOME:-$HOME/.local/share}"/{uv/python/cpython-3.1[234]*,mise/installs/python/3.1[234]*}/bin/python3 \
    /usr/local/bin/python3.1[234] /opt/homebrew/bin/python3.1[234]; do
    if suits "$python"; then
      "$python" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))' # of a .venv, what it is from
      return 0
    fi
  done
  return 1
}

# Whether $1 is a uv that runs (not a dead shim) and is new enough for uv.lock.
uv_runs() {
  local version
  version=$("$1" --version 2>/dev/null) || return 1
  [[ $version =~ ^uv\ ([0-9]+)\.([0-9]+) ]] && ((BASH_REMATCH[1] > 0 || BASH_REMATCH[2] >= UV_OLDEST))
}

# Install uv into .uv with the Python $1, which may have neither ensurepip nor pip (as Debian and Ubuntu ship it).
install_uv() {
  local python=$1
  say "uv is not here or does not run: installing uv $UV_VERSION into .uv"
  export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
  rm -rf .uv
  if "$python" -m venv .uv >/dev/null 2>&1 && .uv/bin/python -m pip install --quiet "uv==$UV_VERSION"; then
    return 0
  fi
  rm -rf .uv
  if "$python" -m pip --version >/dev/null 2>&1; then
    "$python" -m pip install --quiet --no-user --target .uv "uv==$UV_VERSION"
  else
    local pip
    pip=$("$python" script/fetch_pip.py .uv)
    "$python" "$pip/pip" install --quiet --no-user --target .uv "uv==$UV_VERSION"
  fi
}

any_python() { # for a private uv, which runs on more Pythons than we do
  local python
  for python in "${PYTHON:-}" python3 python; do
    if [[ -n $python ]] && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' >/dev/null 2>&1; then
      printf '%s\n' "$python"
      return 0
    fi
  done
  say "No Python was found. Install Python 3.12, 3.13 or 3.14, or name one: UV_PYTHON=/path/to/python3 make install"
  return 1
}

if PYTHON=$(find_python); then
  export UV_PYTHON=$PYTHON UV_PYTHON_DOWNLOADS=never
else
  say "No Python 3.12, 3.13 or 3.14 (with SQLite's FTS5) was found: uv will try to download one."
  PYTHON=
  export UV_PYTHON=3.12 UV_PYTHON_DOWNLOADS=automatic
fi

uv=uv
if ! uv_runs "$uv"; then
  uv=.uv/bin/uv
  uv_runs "$uv" || install_uv "$(any_python)"
fi

unset VIRTUAL_ENV # another project's, when a shell has one active
# Compiled now, so that the first start is as quick as the second.
if ! UV_PROJECT_ENVIRONMENT=.venv "$uv" sync --locked --quiet --compile-bytecode; then
  [[ -n $PYTHON ]] || say "Install Python 3.12, 3.13 or 3.14, or name one: UV_PYTHON=/path/to/python3 make install"
  exit 1
fi
.venv/bin/python -m compileall -q backend migration
printf '%s' "$PWD" >"$STAMP"
