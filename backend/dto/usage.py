"""What a run used of the models."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


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
    """The usage of one run, as it is kept."""

    run_id: UUID
    tenant_id: str
    user_id: str
    usage: Usage
    created_at: datetime
