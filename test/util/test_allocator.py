import platform
import subprocess
import sys

import pytest

ASKED = "from backend.util.allocator import keep_less; print(keep_less())"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
@pytest.mark.parametrize(("env", "told"), [({}, "True"), ({"MALLOC_ARENA_MAX": "4"}, "False")])
def test_the_allocator_is_told_unless_somebody_has_done_so(env: dict[str, str], told: str) -> None:
    answer = subprocess.run([sys.executable, "-c", ASKED], env=env, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == told
