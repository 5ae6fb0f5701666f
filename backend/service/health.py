"""Is the server well? Each part has a check; what a check says is kept for a moment, since anybody may ask."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from loguru import logger

from backend.core.error import DomainError, Unavailable

Check = Callable[[], Awaitable[None]]
"""Returns when the part is well, and raises when it is not."""
CHECK_SECONDS = 2.0
KEPT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    healthy: bool
    latency: float
    """Seconds."""
    detail: str | None = None
    """Why it is not well; never an address with a password, nor another's words."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    status: Literal["healthy", "degraded", "unhealthy"]
    """`degraded`: only parts fail that the server can do without."""
    version: str
    environment: str
    timestamp: datetime
    draining: bool
    checks: Mapping[str, CheckResult]

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here."""
        return self.status != "unhealthy" and not self.draining


class HealthService:
    """`optional` names the checks whose failure leaves the server usable."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        version: str,
        environment: str,
        *,
        optional: Collection[str] = (),
        timeout: float = CHECK_SECONDS,
        kept: float = KEPT_SECONDS,
    ) -> None:
        self._checks = dict(checks)
        self._version = version
        self._environment = environment
        self._optional = frozenset(optional)
        self._timeout = timeout
        self._kept = kept
        self._draining = False
        self._asking = asyncio.Lock()
        self._last: HealthReport | None = None
        self._last_at = 0.0
        self._failing: set[str] = set()

    def drain(self) -> None:
        """From now on the server is not ready: it finishes what it has and takes nothing new."""
        self._draining = True

    async def check(self, name: str) -> None:
        """Return when a part has answered.

        Raises:
            Unavailable: it is not well.
        """
        result = await self._run(name, self._checks[name])
        if not result.healthy:
            raise Unavailable(f"{name}: {result.detail}")

    async def report(self) -> HealthReport:
        """Return how the parts are, at most `kept` seconds old. Takes no longer than one check may."""
        async with self._asking:  # many who ask at once are one question to the parts
            if self._last is None or time.monotonic() - self._last_at > self._kept:
                self._last = await self._ask()
                self._last_at = time.monotonic()
            return replace(self._last, draining=self._draining)

    async def _ask(self) -> HealthReport:
        results = await asyncio.gather(*(self._run(name, check) for name, check in self._checks.items()))
        checks = dict(zip(self._checks, results, strict=True))
        failing = {name for name, result in checks.items() if not result.healthy}
        status: Literal["healthy", "degraded", "unhealthy"] = "healthy"
        if failing:
            status = "degraded" if failing <= self._optional else "unhealthy"
        return HealthReport(status, self._version, self._environment, datetime.now(UTC), self._draining, checks)

    async def _run(self, name: str, check: Check) -> CheckResult:
        began = time.perf_counter()
        detail: str | None = None
        try:
            async with asyncio.timeout(self._timeout):
                await check()
        except TimeoutError:
            detail = f"No answer within {self._timeout:g} s."
        except DomainError as error:
            detail = error.detail
        except Exception as error:  # noqa: BLE001  # whatever a part raises is the answer to how it is
            detail = type(error).__name__  # its words may hold an address and its password
            if name not in self._failing:
                logger.opt(exception=error).error("the check of {part} failed", part=name)
        if detail is None:
            if name in self._failing:
                logger.info("{part} is well again", part=name)
                self._failing.discard(name)
        elif name not in self._failing:  # said once, not at every probe
            logger.error("{part} is not well: {detail}", part=name, detail=detail)
            self._failing.add(name)
        return CheckResult(detail is None, time.perf_counter() - began, detail)
