"""Which of the waiting runs begins next."""

from dataclasses import dataclass

FIRST, LAST = -5, 5
"""The range of priorities: the least begins first."""
LONGEST_GROUP = 256
"""Characters of a fairness group's name."""


@dataclass(frozen=True, slots=True)
class PrioritySettings:
    """What a project decided for a thread, and so for all its runs."""

    priority: int = 0
    fairness: str | None = None
    """The fairness group; None for the one of all who have none."""
