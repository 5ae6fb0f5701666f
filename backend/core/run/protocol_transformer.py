"""What LangGraph's event stream (version 3) is asked for, so that it says everything.

LangGraph asks a graph only for the stream modes that its transformers need, and its own transformers keep what is said
of tasks to themselves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from langgraph.stream import StreamChannel, StreamTransformer

Namespace = tuple[str, ...]
Factory = Callable[[Namespace], StreamTransformer]
TASKS = "tasks"


@dataclass(frozen=True, slots=True)
class Task:
    """What is said of a task, which LangGraph's own transformers keep out of the main log."""

    namespace: Sequence[str]
    data: Any


class Everything(StreamTransformer):
    """Asks a graph for all stream modes, and passes on what is said of tasks."""

    _native = True
    required_stream_modes: ClassVar[tuple[str, ...]] = (
        "values",
        "updates",
        "messages",
        "custom",
        TASKS,
        "checkpoints",
        "tools",
    )

    def __init__(self, scope: Namespace = ()) -> None:
        super().__init__(scope)
        self._tasks: StreamChannel[Task] = StreamChannel(TASKS)

    def init(self) -> dict[str, Any]:
        # Below the root nobody reads.
        return {} if self.scope else {"daedap_tasks": self._tasks}

    def process(self, event: Any) -> bool:
        if event["method"] == TASKS and not self.scope:
            self._tasks.push(Task(event["params"]["namespace"], event["params"]["data"]))
        return True


class _Silent(StreamTransformer):
    """Stands for a transformer that has but one instance, in the subgraphs."""

    def init(self) -> dict[str, Any]:
        return {}

    def process(self, event: Any) -> bool:
        return True


def factory_of(transformer: Factory | StreamTransformer) -> Factory:
    if not isinstance(transformer, StreamTransformer):
        return transformer
    return lambda scope: _Silent(scope) if scope else transformer
