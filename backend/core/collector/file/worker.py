"""The process that reads untrusted files: `python -m backend.core.collector.file.worker MEMORY_BYTES`.

A parser that is made to hang, to eat memory or to crash takes this process down and nothing else. It has no secrets:
its environment is empty. One request after the other comes over standard input, one answer goes out for each, both JSON
after four bytes of length.
"""

import json
import os
import struct
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from backend.core.collector.file.document import Limits
from backend.core.collector.file.reader import read_file
from backend.core.collector.file.reason import refused
from backend.core.error import InvalidFile

LENGTH = struct.Struct(">I")
_FILES = 64
"""Open files that the process may have."""


def main() -> None:
    """Answer requests until standard input ends."""
    limit_memory(int(sys.argv[1]))
    requests = sys.stdin.buffer
    # A library that prints must not speak in between.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while head := requests.read(LENGTH.size):
        request = json.loads(requests.read(LENGTH.unpack(head)[0]))
        limit_cpu(request["cpu_seconds"])
        send(answers, answer(request))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return `{"title", "media_type", "sections"}`, or `{"code", "detail", "detail_ko"}` of what was refused."""
    try:
        document = read_file(Path(request["path"]), Limits(**request["limits"]), request["name"])
    except InvalidFile as refusal:
        return _refusal(refusal)
    except MemoryError:
        return _refusal(refused("too_much_memory"))
    except Exception as bug:  # noqa: BLE001  (where the file's task ends; the parent logs it)
        # A file found a way to fail that no parser foresaw: it is refused like any other, and the log gets the place.
        last = traceback.extract_tb(bug.__traceback__)[-1]
        return _refusal(refused("crashed")) | {"bug": f"{type(bug).__name__} at {last.filename}:{last.lineno}"}
    return asdict(document)


def _refusal(refusal: InvalidFile) -> dict[str, Any]:
    return {"detail": refusal.detail, **refusal.members}


def send(stream: BinaryIO, value: dict[str, Any]) -> None:
    data = json.dumps(value, ensure_ascii=False).encode()
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


def limit_memory(memory_bytes: int) -> None:
    """Bound the memory, open files and written bytes of this process; no memory image is left when it crashes."""
    if sys.platform == "win32":
        return  # no such limits there; the parent's clock still holds
    import resource

    if sys.platform == "linux":  # macOS accepts the call for no value that is of use
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def limit_cpu(seconds: int) -> None:
    """Give the next file `seconds` of processor time; the kernel ends the process (SIGXCPU) beyond."""
    if sys.platform == "win32":
        return
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + seconds + 1, hard))


if __name__ == "__main__":
    main()
