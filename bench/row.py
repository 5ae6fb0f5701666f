"""What is measured, how often, and what is promised of it."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.measure import Figures

SHORT = "short"


@dataclass(frozen=True)
class Measured:
    """A scenario: how many runs in a round, how many at once, how many rounds."""

    scenario: str
    count: int
    at_once: int
    rounds: int = 9
    warm: int = 1
    """Rounds before those that count."""
    is_chat: bool = False


SCENARIOS = {
    "stateless": Measured("stateless", 500, 16),
    "one": Measured("stateless", 150, 1),
    "thread": Measured("new thread", 200, 16),
    "tokens": Measured("tokens", 80, 8),
    "first": Measured("tokens", 30, 1),
    "rag": Measured("rag", 60, 8),
    "conversation": Measured("conversation", 8, 8, rounds=7),
    "slow-50": Measured("slow", 50, 50, rounds=2, warm=0),
    "slow-500": Measured("slow", 500, 500, rounds=1, warm=0),
    "slow-1000": Measured("slow", 1000, 1000, rounds=1, warm=0),
    "chat": Measured("stateless", 400, 16, rounds=3, is_chat=True),
    "chat-thread": Measured("new thread", 200, 16, rounds=3, is_chat=True),
    "chat-tokens": Measured("tokens", 80, 8, rounds=3, is_chat=True),
    "chat-rag": Measured("rag", 80, 8, rounds=3, is_chat=True),
}


class Rounds:
    """The figures of all rounds of a scenario, by side."""

    def __init__(self) -> None:
        self._of: dict[str, list[Figures]] = defaultdict(list)

    def add(self, side: str, figures: Figures) -> None:
        self._of[side].append(figures)

    def each(self, side: str, figure: str) -> list[float]:
        over, _, under = figure.partition(" ÷ ")
        return [one[over] / one[under] if under else one[over] for one in self._of[side] if over in one]

    def median(self, side: str, figure: str) -> float | None:
        found = self.each(side, figure)
        return statistics.median(found) if found else None

    def ratio(self, side: str, other: str, figure: str) -> float | None:
        """Return the median of the rounds' ratios: whatever else the machine did, it did to both."""
        pairs = list(zip(self.each(side, figure), self.each(other, figure), strict=False))
        return statistics.median(left / right for left, right in pairs if right) if pairs else None


@dataclass(frozen=True)
class Row:
    """A figure of a scenario and its goals. `than` is what a goal is a ratio to; "" when it is of the figure itself."""

    of: str
    title: str
    figure: str
    unit: str
    must: float | None = None
    aim: float | None = None
    than: Literal["in process", "by hand", ""] = "in process"
    aim_than: Literal["in process", "by hand", ""] | None = None
    better: Literal["more", "less"] = "more"

    def cells(self, rounds: Rounds) -> Sequence[str]:
        sides = [_text(rounds.median(side, self.figure), self.unit) for side in ("in process", "by hand", "server")]
        ratios = [_text(rounds.ratio("server", side, self.figure), "×") for side in ("in process", "by hand")]
        aim_than = self.than if self.aim_than is None else self.aim_than
        return (
            self.title,
            *sides,
            *ratios,
            self._goal(self.must, self.than),
            self._goal(self.aim, aim_than),
            self._reached(rounds, aim_than),
        )

    def _goal(self, goal: float | None, than: str) -> str:
        if goal is None:
            return ""
        sign = "≥" if self.better == "more" else "≤"
        return f"{sign} {_text(goal, '×' if than else self.unit)}{' by hand' if than == 'by hand' else ''}"

    def _reached(self, rounds: Rounds, aim_than: str) -> str:
        if self.must is None:
            return ""
        if self.aim is not None and self._keeps(rounds, self.aim, aim_than):
            return "aim"
        return "must" if self._keeps(rounds, self.must, self.than) else SHORT

    def _keeps(self, rounds: Rounds, goal: float, than: str) -> bool:
        found = rounds.ratio("server", than, self.figure) if than else rounds.median("server", self.figure)
        return found is not None and (found >= goal if self.better == "more" else found <= goal)


def _text(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == "×":
        return f"{value:.2f}"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}"


ROWS = (
    Row("stateless", "one node, nothing kept, 16 at once", "rate", "/s", 0.60, 0.90),
    Row("stateless", "  p99", "p99", "ms", 1.0, 17, than="by hand", aim_than="", better="less"),
    Row("stateless", "  processor time a run", "cpu", "ms", better="less"),
    Row("one", "the same, one at a time, p50", "p50", "ms", 3.0, 1.7, better="less"),
    Row("thread", "one node on a new thread, 16 at once", "rate", "/s", 1.3, 2.2),
    Row("thread", "  processor time a run", "cpu", "ms", better="less"),
    Row("tokens", "100 tokens without delay, 8 streams", "events", "/s", 0.60, 1.0),
    Row("first", "  time to the first token, one stream", "first", "ms", 3.0, 1.4, better="less"),
    Row("rag", "retrieve, grade, generate, finish: 8 streams", "rate", "/s", 1.2, 1.7),
    Row("rag", "  processor time a run", "cpu", "ms", better="less"),
    Row("conversation", "conversations of 20 turns, 8 at once", "rate", "/s", 1.0, 1.4),
    Row("conversation", "  turn 20 ÷ turn 2", "turn 20 ÷ turn 2", "×", 1.3, 1.15, than="", better="less"),
    *(
        row
        for count in ("50", "500", "1000")
        for row in (
            Row(f"slow-{count}", f"{count} streams of 20 tokens/s, last end", "last", "s", 1.3, 0.9, better="less"),
            Row(f"slow-{count}", "  memory a stream", "memory", "kB", 200, 120, than="", better="less"),
        )
    ),
    Row("chat", "chat API: one node, nothing kept, 16 at once", "rate", "/s", 0.60, 0.90),
    Row("chat-thread", "chat API: one node on a new thread, 16 at once", "rate", "/s", 1.3, 2.2),
    Row("chat-tokens", "chat API: 100 tokens, 8 streams", "events", "/s", 0.60, 1.0),
    Row("chat-rag", "chat API: retrieve … finish, 8 streams", "rate", "/s", 1.2, 1.7),
)
