"""Counting failures, so that nobody guesses for long."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address


class FailureLimit:
    """Counts failures by client address, in a window that begins with the first. Its memory is bounded.

    IPv6 addresses are counted by their /64, of which one customer usually has all.
    """

    def __init__(
        self,
        limit: int = 20,
        window: float = 60.0,
        *,
        addresses: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._window = window
        self._addresses = addresses
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, address: str) -> int:
        """Return the whole seconds until the address may try again; 0 when it may now."""
        if not self._failures:
            return 0
        count, ends = self._failures.get(_network(address), (0, 0.0))
        left = ends - self._clock()
        return math.ceil(left) if count >= self._limit and left > 0 else 0

    def count(self, address: str) -> bool:
        """Count a failure; return whether the address is refused from now on."""
        now, network = self._clock(), _network(address)
        count, ends = self._failures.get(network, (0, 0.0))
        if ends <= now:
            count, ends = 0, now + self._window
            self._failures.pop(network, None)  # the order is that of the windows' ends
        self._failures[network] = (count + 1, ends)
        if len(self._failures) > self._addresses:
            self._failures.popitem(last=False)
        return count + 1 == self._limit

    def forgive(self, address: str) -> None:
        """Take one failure back: it was counted before it was known to be none."""
        network = _network(address)
        count, ends = self._failures.get(network, (0, 0.0))
        if count > 1:
            self._failures[network] = (count - 1, ends)
        else:
            self._failures.pop(network, None)


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return address
