"""What was read a moment ago, so that a question asked with every request goes to the database every few seconds."""

import time
from collections.abc import Awaitable, Callable, Hashable


class Recent[K: Hashable, V]:
    """Values by key, each believed for a few seconds; memory is bounded.

    This process learns of its own changes at once (`forget`), other processes within `seconds`, and one second more
    while the value is being read again: one caller reads it, the others go on with the old one.
    """

    def __init__(
        self,
        read: Callable[[K], Awaitable[V]],
        *,
        seconds: float = 5.0,
        size: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._size = size
        self._clock = clock
        self._kept: dict[K, tuple[float, V]] = {}
        self._changes = 0

    def peek(self, key: K) -> tuple[float, V] | None:
        """Return until when `key` is believed, and its value; None when it has to be read."""
        found = self._kept.get(key)
        return found if found is not None and found[0] > self._clock() else None

    async def get(self, key: K) -> V:
        """Return the value, read again when it is too old. Raises what reading it does."""
        now = self._clock()
        found = self._kept.get(key)
        if found is not None:
            if found[0] > now:
                return found[1]
            self._kept[key] = now + 1.0, found[1]  # others need not read it too
        changes = self._changes
        try:
            value = await self._read(key)
        except BaseException:
            self._kept.pop(key, None)  # what cannot be read any more is not believed any longer
            raise
        if changes == self._changes:  # else it may have been read before a change that is made by now
            self._kept.pop(key, None)
            self._kept[key] = self._clock() + self._seconds, value
            if len(self._kept) > self._size:
                del self._kept[next(iter(self._kept))]
        return value

    def forget(self, key: K) -> None:
        """Have `key` read again: it was changed here, and the change is committed."""
        self._changes += 1
        self._kept.pop(key, None)
