"""The check that refuses dependencies with known holes, and calls that open one."""

import pytest

from script.check_floors import check_code, check_lock, check_requirements


def test_a_locked_version_below_its_floor_is_named() -> None:
    lock = '[[package]]\nname = "starlette"\nversion = "1.3.0"\n[[package]]\nname = "langgraph"\nversion = "1.2.22"\n'
    assert list(check_lock(lock)) == ["uv.lock: starlette 1.3.0 is below its floor 1.3.1"]


def test_a_refused_package_is_named_however_it_is_written() -> None:
    lock = '[[package]]\nname = "python_jose"\nversion = "9"\n'
    assert [breach.split(":")[1] for breach in check_lock(lock)] == [" python-jose is refused"]


def test_a_requirement_that_allows_an_older_version_is_named() -> None:
    pyproject = '[project]\ndependencies = ["starlette>=1.0", "langgraph", "python-multipart>=0.0.30"]'
    assert len(list(check_requirements(pyproject))) == 2


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "eval(text)",
        "from os import system as go\ngo('ls')",
        "import subprocess as s\ns.run('ls', shell=True)",
        "httpx.get(url, verify=False)",
        "import yaml\nyaml.load(text)",
    ],
)
def test_code_that_runs_data_or_turns_checks_off_is_found(code: str) -> None:
    assert list(check_code(code))


def test_code_that_only_looks_like_it_is_left_alone() -> None:
    code = "import yaml\nyaml.safe_load(text)\nmodel.eval()\nre.compile('eval')\nrun(['ls'], shell=False)\nf(verify=0)"
    assert list(check_code(code)) == []
