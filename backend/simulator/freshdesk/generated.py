"""Any number of tickets that take no room: each is made when it is asked for."""

from datetime import datetime
from random import Random
from typing import Any

from backend.simulator.freshdesk.account import Archive
from backend.simulator.freshdesk.desk import make_desk
from backend.simulator.freshdesk.story import Story, lengthen, plan, tell, write_thread, write_ticket

Json = dict[str, Any]
_SPAN = 400 * 86_400
"""Seconds over which the changes are spread."""
_FIRST_ID = 44_000_000_000
_THREAD_ROOM = 1_000
"""Ids kept for the messages of one ticket."""


class Generated(Archive):
    """Tickets 1 to `count`, in the order of their last change."""

    def __init__(self, count: int, conversations: float, *, seed: int, until: datetime, run: int) -> None:
        """Take how many, how long the threads are on average, and how many tickets in a row change in one second."""
        self._count = count
        self._mean = conversations
        self._seed = seed
        self._run = max(1, run)
        self._until = int(until.timestamp())
        self._desk = make_desk(until)

    def __len__(self) -> int:
        """Return how many tickets there are."""
        return self._count

    def updated(self, number: int) -> int:
        """Return when a ticket changed. Of four runs' tickets, the first run changed in one second."""
        position = number - 1
        block = self._run * 4
        within = position % block
        if within < self._run:
            position -= within
        return self._until - (self._count - 1 - position) * _SPAN // max(self._count, 1)

    def created(self, number: int) -> int:
        """Return when a ticket was written: up to ten days before it changed."""
        return self.updated(number) - 600 - (number * 7_919) % (10 * 86_400)

    def ticket(self, number: int) -> Json:
        """Return a ticket."""
        created, updated = self.created(number), self.updated(number)
        return write_ticket(
            self._story(number), number, self._desk, created=created, updated=updated, status=self._status(number)
        )

    def conversations(self, number: int) -> list[Json]:
        """Return a ticket's messages."""
        story = self._story(number)
        length = self.length(number)
        said = lengthen(plan(story, 5), story, length)
        first = _FIRST_ID + number * _THREAD_ROOM
        return write_thread(story, said, number, first, created=self.created(number), updated=self.updated(number))

    def length(self, number: int) -> int:
        """Return how many messages a ticket has: from none to twice the mean."""
        rng = Random(self._seed * 31 + number)
        whole = int(self._mean * 2)
        return min(rng.randint(0, whole) + (1 if rng.random() < self._mean * 2 - whole else 0), _THREAD_ROOM - 1)

    def _story(self, number: int) -> Story:
        return tell(self._seed, number, self._desk, at=self.created(number))

    def _status(self, number: int) -> int:
        age = (self._until - self.updated(number)) / 86_400
        if age > 20:
            return 4 if number % 5 == 0 else 5
        return (2, 3, 4, 5, 6, 7, 2, 4)[number % 8]
