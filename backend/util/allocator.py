"""How glibc keeps memory, for a server that lives long."""

import ctypes
import os

# Parameters of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGE = 1024 * 1024


def keep_less() -> bool:
    """Have what is freed go back to the system; return whether there is somebody to tell.

    Left alone, glibc keeps an arena for each of many threads, and takes ever larger blocks from them once one of that
    size was freed, so that the holes between them stay: 30 MB of a server that has collected 20,000 tickets. Who has
    set one of glibc's own `MALLOC_…` variables is left alone.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another system's library
        return False
    return all([mallopt(_ARENA_MAX, 2), mallopt(_MMAP_THRESHOLD, _LARGE), mallopt(_TRIM_THRESHOLD, _LARGE)])
