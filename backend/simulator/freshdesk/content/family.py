"""What a family of tickets is: one problem, in the words of several customers and of those who solve it."""

from dataclasses import dataclass, field
from typing import Literal

Area = Literal["access", "billing", "order", "developer", "app"]
Language = Literal["ko", "en"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A problem in one language. Texts have slots (`{order}`, `{date}`, …); a line is a paragraph, `- ` an item."""

    said: tuple[tuple[str, str], ...]
    """Subject and message, as different customers put it."""
    answer: str
    """What solves it."""
    ask: str = ""
    """What an agent asks first."""
    reply: str = ""
    """What the customer says to that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    name: str
    area: Area
    kind: Literal["Question", "Incident", "Problem", "Feature Request", "Refund"]
    priority: int
    tags: tuple[str, ...]
    product: str
    note: str
    """What agents tell each other; never for customers."""
    sides: dict[Language, Side] = field(default_factory=dict)
