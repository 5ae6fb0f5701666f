"""Refuse dependencies with known holes and calls that open one.

Three questions: is every locked version at or above its floor; does `pyproject.toml` say so too, for whoever installs
the package without the lock; does the code stay clear of what turns data into code (pickle, eval, a shell) or turns
checks off. A linter's rule can be silenced on a line; this cannot.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent

# The oldest version of each that is free of what is named beside it.
FLOORS = {
    "chromadb": "1.5.9",  # CVE-2026-45829: code execution before authentication (its server, which we do not run)
    "langchain-core": "1.7.0",  # CVE-2025-68664: objects from "lc" keys; CVE-2026-34070: load_prompt leaves its folder
    "langgraph": "1.2.22",  # CVE-2026-28277: msgpack rebuilds any object
    "langgraph-checkpoint": "4.3.2",  # CVE-2025-64439, CVE-2026-27794, CVE-2026-48775: JSON and pickle revive objects
    "langgraph-checkpoint-sqlite": "3.1.2",  # CVE-2025-8709, CVE-2025-67644: SQL in filter operators and keys
    "langgraph-sdk": "0.4.0",  # CVE-2026-48776: ids in URL paths
    "pyjwt": "2.13.0",  # CVE-2024-53861, CVE-2026-32597, CVE-2026-48523: issuer, "crit", algorithm lists
    "python-engineio": "4.15.0",  # CVE-2026-48802: heartbeat tasks pile up
    "python-multipart": "0.0.30",  # CVE-2024-53981, CVE-2026-24486, CVE-2026-53539: quadratic parsing
    "python-socketio": "5.18.0",  # CVE-2025-61765: pickle over the message queue; CVE-2026-48804: attachments
    "starlette": "1.3.1",  # CVE-2025-62727: Range; CVE-2026-48710: Host; CVE-2026-54283: form limits
}
REFUSED = {
    "langgraph-api": "its licence does not allow to run it freely",
    "langgraph-checkpoint-redis": "CVE-2026-27022: injection into RediSearch",
    "motor": "deprecated; PyMongo has an async API",
    "passlib": "unmaintained since 2020",
    "psycopg2": "asyncpg is used",
    "pysqlite3-binary": "SQLite 3.51.1, which can corrupt a WAL",
    "python-jose": "unmaintained; use PyJWT",
}
MODULES = {"cPickle", "cloudpickle", "dill", "jsonpickle", "marshal", "pickle", "shelve"}
CALLS = {
    "eval", "exec", "os.popen", "os.system", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
    "tempfile.mktemp", "ssl._create_unverified_context", "langchain_core.load.load", "langchain_core.load.loads",
}  # fmt: skip
KEYWORDS = {("shell", True), ("verify", False), ("check_hostname", False), ("allow_pickle", True)}


def locked_versions(lock: str) -> dict[str, list[Version]]:
    """Return the versions of each package in the text of a uv.lock (a package can be locked once for each platform)."""
    versions: dict[str, list[Version]] = {}
    for package in tomllib.loads(lock)["package"]:
        if "version" in package:
            versions.setdefault(canonicalize_name(package["name"]), []).append(Version(package["version"]))
    return versions


def check_lock(lock: str) -> Iterator[str]:
    """Yield what is wrong with the versions that a uv.lock holds."""
    versions = locked_versions(lock)
    for name, floor in FLOORS.items():
        for version in versions.get(canonicalize_name(name), []):
            if version < Version(floor):
                yield f"uv.lock: {name} {version} is below its floor {floor}"
    for name, reason in REFUSED.items():
        if canonicalize_name(name) in versions:
            yield f"uv.lock: {name} is refused: {reason}"


def check_requirements(pyproject: str) -> Iterator[str]:
    """Yield each direct dependency that allows a version below its floor."""
    for line in tomllib.loads(pyproject)["project"]["dependencies"]:
        requirement = Requirement(line)
        floor = FLOORS.get(canonicalize_name(requirement.name))
        lowest = [Version(part.version) for part in requirement.specifier if part.operator in {">=", "==", "~="}]
        if floor and (not lowest or max(lowest) < Version(floor)):
            yield f"pyproject.toml: {line} allows versions below the floor {floor}"


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return ""


def check_code(code: str) -> Iterator[tuple[int, str]]:
    """Yield line and reason of each import or call that has no place in the server."""
    names: dict[str, str] = {}  # what a name of the file stands for: after `from os import system as go`, go: os.system
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported = [(alias.asname, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported = [(alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names]
        else:
            continue
        names |= {name: target for name, target in imported if name}
        yield from (
            (node.lineno, f"import of {target}") for _, target in imported if target.partition(".")[0] in MODULES
        )
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from ((node.lineno, reason) for reason in _check_call(node, names))


def _check_call(call: ast.Call, names: dict[str, str]) -> Iterator[str]:
    head, dot, rest = _dotted(call.func).partition(".")
    called = names.get(head, head) + dot + rest
    if called in CALLS:
        yield f"{called}()"
    for keyword in call.keywords:
        value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if isinstance(value, bool) and (keyword.arg, value) in KEYWORDS:
            yield f"{keyword.arg}={value}"


def main() -> int:
    """Print every breach; return the exit code."""
    breaches = [
        *check_lock((ROOT / "uv.lock").read_text("utf-8")),
        *check_requirements((ROOT / "pyproject.toml").read_text("utf-8")),
    ]
    for folder in ("backend", "migration"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            found = check_code(path.read_text("utf-8"))
            breaches += [f"{path.relative_to(ROOT)}:{line}: {reason}" for line, reason in found]
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
