"""`python -m backend.cli.demo_server`: a server that lives no longer than the process that started it.

Its standard input is a pipe to which that process never writes. However that process ends, the pipe ends with it, and
the server then stops in order.
"""

import os
import signal
import sys
import threading


def _stop_at_the_end() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    from backend.cli.serve import serve

    threading.Thread(target=_stop_at_the_end, daemon=True).start()
    sys.exit(serve(host=None, port=None, config=None, reload=False))
