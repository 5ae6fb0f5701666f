"""Passwords: argon2id (RFC 9106), with the parameters that OWASP's password storage cheat sheet gives as the least."""

import asyncio
import secrets
import unicodedata
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


class PasswordHasher:
    """Hashes and compares in threads, a few at once."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(AT_ONCE)
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
            async with self._slots:
                if make:
                    return await asyncio.to_thread(self._argon2.hash, plain)
                return await asyncio.to_thread(self._compare, kept, plain)
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
