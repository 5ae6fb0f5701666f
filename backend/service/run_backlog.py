"""The runs that wait for a place to execute, and which of them comes next."""

from collections import OrderedDict, deque
from collections.abc import Iterator

from backend.dto.run import Run

_Level = OrderedDict[str, deque[Run]]
"""The waiting runs of one priority by fairness group; the group whose turn it is stands first."""


class Backlog:
    """The least priority first; within one, the fairness groups take turns; within a group, who came first.

    A run is added and taken in constant time, however many wait: there are eleven priorities. Where nobody sets any,
    this is a queue.
    """

    def __init__(self) -> None:
        self._levels: dict[int, _Level] = {}

    def add(self, run: Run) -> None:
        level = self._levels.get(run.request.priority)
        if level is None:
            level = self._levels[run.request.priority] = OrderedDict()
        group = run.request.fairness or ""
        queue = level.get(group)
        if queue is None:
            queue = level[group] = deque()
        queue.append(run)

    def take(self) -> Run:
        """Remove and return the run that comes next.

        Raises:
            IndexError: none waits.
        """
        if not self._levels:
            raise IndexError("no run waits")
        priority = min(self._levels)
        level = self._levels[priority]
        group, queue = next(iter(level.items()))
        run = queue.popleft()
        if queue:
            level.move_to_end(group)
        else:
            del level[group]  # it comes back behind the others
            if not level:
                del self._levels[priority]
        return run

    def discard(self, run: Run) -> None:
        """Take out a run that is not to execute yet; nothing happens when it is not here."""
        waiting = [other for other in self if other.run_id != run.run_id]
        self.clear()
        for other in waiting:
            self.add(other)

    def clear(self) -> None:
        self._levels.clear()

    def __bool__(self) -> bool:
        return bool(self._levels)

    def __iter__(self) -> Iterator[Run]:
        """Iterate over all that wait, in no order that means anything."""
        return (run for level in self._levels.values() for queue in level.values() for run in queue)
