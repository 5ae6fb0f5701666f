"""The port of the cache: where values are kept, as bytes under keys that are encoded already."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

Key = str | Sequence[str]
"""What names a value within its kind: one part or several. A text is one part: `"a"` is `("a",)`."""
NAMESPACE = "daedap:cache:"
"""What all keys begin with; the tenant's part follows, then the kind's and those of the key, each with a `:` after."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A value that was there; None may be one."""

    value: Any


class Miss:
    """Nothing was there."""

    __slots__ = ()

    def __bool__(self) -> Literal[False]:
        return False


MISS = Miss()


class Entry(NamedTuple):
    payload: bytes
    expires: float
    """Seconds of the epoch."""


class CacheStore(Protocol):
    """Every implementation promises what is said here; `test/contract/test_cache_contract.py` holds them to it.

    Nobody fails for want of a cache: what cannot be reached has nothing, and takes nothing in.
    """

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def get(self, key: str) -> Entry | None:
        """Return what is kept and has not expired."""

    async def set(self, key: str, entry: Entry) -> None:
        """Keep an entry, instead of what was there. It may be forgotten at any time, and is never served expired."""

    async def delete(self, key: str) -> bool:
        """Forget an entry; whether there was one."""

    async def delete_prefix(self, prefix: str) -> int:
        """Forget all entries whose keys begin so; return how many there were."""

    def listen(self, told: Callable[[str], None]) -> None:
        """Call `told` with a key or prefix that another process has deleted."""

    def figures(self) -> dict[str, int]:
        """Return `entries` and `bytes` that are kept in this process."""
