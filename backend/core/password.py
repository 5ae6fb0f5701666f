"""Passwords: argon2id (RFC 9106), with the parameters that OWASP's password storage cheat sheet gives as the least."""

import asyncio
import re
import secrets
import string
import unicodedata
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

from backend.core.error import TooMany

if TYPE_CHECKING:
    from argon2 import PasswordHasher as Argon2

MIN_LENGTH = 8
MAX_LENGTH = 256
AT_ONCE = 2
"""Hashes that are made at once: each takes a core, and 19 MiB."""
WAITING = 64
"""Hashes that wait; more are refused."""
_NO_LETTERS = re.compile(r"[\x00-\x60\x7b-\x7f]+")
"""Of a text in lower case."""
_AROUND = string.digits + string.punctuation
_STEPS = ("abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm")
_LETTERS = str.maketrans("0134578@$!", "oleastbasi")
"""Digits and signs that stand for letters."""
_FIRST_GUESSES = frozenset(
    (
        "password passwd passwort pass passw pw admin administrator root user owner manager master login welcome hello "
        "letmein changeme default secret test tester testing temp guest demo sample support helpdesk freshdesk daedap "
        "iloveyou love sunshine princess monkey dragon football baseball soccer superman batman pokemon starwars "
        "shadow michael jennifer jordan charlie daniel thomas summer winter spring autumn google samsung naver kakao "
        "korea seoul trustno whatever freedom computer internet server service company office "
        "qwer qwert qwerty qwertyui qwertyuiop asdf asdfg asdfgh asdfghjkl asdfjkl zxcv zxcvb zxcvbn zxcvbnm qweasd "
        "qweasdzxc asdzxc qaz qazwsx qazwsxedc wsx zaq xsw abc abcd abcde abcdef abcdefg abcdefgh aaa qqq "
        "qwe asd zxc qwerasdf qwerasdfzxcv asdfzxcv "
        "dkssud dkssudgktpdy tkfkdgo tkfkdgody qlalfqjsgh rlaclWlro alcls rhksflwk "
        "비밀번호 사랑해 안녕 안녕하세요 관리자 대한민국 암호"
    )
    .lower()
    .split()
)
"""What remains of common passwords without their digits and signs; some are Korean words in Latin keys."""


def is_guessable(password: str, about: Iterable[str] = ()) -> bool:
    """Return whether a password is one of the first that anybody tries (NIST SP 800-63B §3.1.1.2).

    Such are few different signs, a row of keys, digits alone, and one common word, or one of `about` (who and whose it
    is), with digits and signs around. Nothing is asked of how a password is made up otherwise.
    """
    plain = unicodedata.normalize("NFC", password).casefold()
    if len(set(plain)) < 5 or (len(plain) < 12 and plain.isdecimal()):
        return True
    if any(plain in (row * 3)[::step] for row in _STEPS for step in (1, -1)):
        return True
    words = _FIRST_GUESSES | {_word(one) for one in about} - {""}
    return bool({_word(plain), _word(plain.strip(_AROUND).translate(_LETTERS))} & words)


def _word(text: str) -> str:
    """Return the letters of a text, once when they are the same ones again and again."""
    letters = _NO_LETTERS.sub("", unicodedata.normalize("NFC", text).casefold())
    return letters[: (letters * 2).index(letters, 1)] if letters else ""


class PasswordHasher:
    """Hashes and compares in threads of its own, a few at once."""

    def __init__(self) -> None:
        # Threads of its own, and few: the allocator keeps what a hash took for each thread that has ever made one.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="password")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Return the hash of a password.

        Raises:
            TooMany: too many hashes wait already.
        """
        return await self._work(password, None, make=True) or ""

    async def verify(self, kept: str | None, password: str) -> tuple[bool, str | None]:
        """Return whether `kept` is the hash of `password`, and then a stronger one where the parameters have grown.

        Without a hash, as much work is done for nothing: who has no account is not told apart by the time.

        Raises:
            TooMany: too many hashes wait already.
        """
        renewed = await self._work(password, kept, make=False)
        return renewed is not None, renewed or None

    async def _work(self, password: str, kept: str | None, *, make: bool) -> str | None:
        if self._waiting >= WAITING:
            raise TooMany("Too many people log in at once.", 1)
        # One letter may be written in several ways (Hangul as one sign or as its parts): all are the same password.
        plain = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            if make:
                return await loop.run_in_executor(self._threads, self._argon2.hash, plain)
            return await loop.run_in_executor(self._threads, self._compare, kept, plain)
        finally:
            self._waiting -= 1

    def _compare(self, kept: str | None, plain: bytes) -> str | None:
        """Return None for a wrong password, else a new hash or, mostly, nothing."""
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            self._argon2.verify(self._nobodys if kept is None else kept, plain)
        except (VerificationError, InvalidHashError):
            return None
        if kept is None:
            return None
        return self._argon2.hash(plain) if self._argon2.check_needs_rehash(kept) else ""

    @cached_property
    def _argon2(self) -> "Argon2":
        from argon2 import PasswordHasher as Argon2

        return Argon2(time_cost=2, memory_cost=19 * 1024, parallelism=1)

    @cached_property
    def _nobodys(self) -> str:
        return self._argon2.hash(secrets.token_bytes(32))
