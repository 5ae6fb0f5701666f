"""What was used of the models."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

UsageGroup = Literal["day", "user", "agent", "model"]


@dataclass(frozen=True, slots=True)
class Usage:
    model: str
    """The alias that was asked for."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    """US dollars, from the alias' prices."""
    calls: int = 0
    latency: float = 0.0
    """Seconds spent waiting for models."""
    estimated: bool = False
    """Whether some of the tokens are our estimate: the endpoint did not count them, or the answer was cut."""


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """The usage of one run, or of one piece of the server's own work, as it is kept."""

    run_id: UUID
    tenant_id: str
    user_id: str
    usage: Usage
    created_at: datetime
    agent: str | None = None
    """Which agent, or part of the server (`summary`, `index`), used it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSum:
    """What several of them come to."""

    runs: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    latency: float = 0.0
    """Seconds spent waiting for models, all together."""
    estimated: int = 0
    """How many of the runs have tokens that are our estimate."""

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class UsageReport:
    since: date
    until: date
    """The last day, included."""
    group_by: UsageGroup
    groups: tuple[tuple[str | None, UsageSum], ...]
    """By day, in their order; else those that used most first. None is of no agent."""
    total: UsageSum
    """Of all groups, also those that are not listed."""
    complete: bool
    """Whether all groups are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """How much of the day's budget is left to somebody: the less of what is left to them and to their tenant."""

    day: date
    resets_at: datetime
    tokens: int
    """What they used today."""
    cost: float
    remaining_tokens: int | None
    """None: there is no limit."""
    remaining_cost: float | None
