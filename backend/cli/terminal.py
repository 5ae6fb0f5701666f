"""What every command needs of the terminal: how it ends, what it may print, and in which language."""

import asyncio
import os
import re
import sys
from collections.abc import Coroutine
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from backend.config.setting import Settings
    from backend.util.language import Language

DONE = 0
FAILED = 1
USAGE = 2
REFUSED = 3
WAITS = 4
"""The agent waits for a person's answer, and nobody sits at the terminal."""
STOPPED = 130
"""By Ctrl-C, as shells have it."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class CommandError(Exception):
    """The command cannot go on: its text is one sentence for the person at the terminal."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


def complain(text: str) -> None:
    """Write to standard error."""
    sys.stderr.write(f"{printable(text)}\n")


def printable(text: str) -> str:
    """Return the text without what a terminal obeys: documents and models must not move the cursor or set its title."""
    return _CONTROL.sub("", text)


@cache
def out() -> "Console":
    """Return the console for results."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


@cache
def side() -> "Console":
    """Return the console for what goes beside a result: progress, hints. It is standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def terminal_language() -> "Language":
    """Return the language of the person at the terminal, as their locale says it."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "ko" if locale.startswith("ko") else "en"


def command_settings(**overrides: object) -> "Settings":
    """Return the settings for a command that is no server, and log warnings alone, to the terminal.

    The log file is the server's, whose rotation two processes would disturb.

    Raises:
        SettingError: a value is wrong.
    """
    from backend.config.logging import setup_logging
    from backend.config.setting import load_settings

    settings = load_settings(**{"log_level": "WARNING", "log_format": "console", "log_file_path": None, **overrides})
    setup_logging(settings)
    return settings


def run[T](work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` returns. At Ctrl-C it is cancelled and may clean up; then the command ends.

    Raises:
        CommandError: it was stopped.
    """
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        stopped = "멈췄습니다." if terminal_language() == "ko" else "Stopped."
        raise CommandError(stopped, STOPPED) from None
