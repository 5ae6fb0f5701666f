"""The state of a thread as the Agent Server API shows it: plain JSON, but for the values, which are the graph's own."""

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.types import Interrupt, PregelTask, StateSnapshot

_CHECKPOINT = ("checkpoint_id", "thread_id", "checkpoint_ns", "checkpoint_map")


def state_wire(state: StateSnapshot) -> dict[str, Any]:
    """Return a `ThreadState`; of a thread without a checkpoint most of it is null."""
    checkpoint, parent = checkpoint_wire(state.config), checkpoint_wire(state.parent_config)
    return {
        "values": state.values,
        "next": list(state.next),
        "tasks": [_task(task) for task in state.tasks],
        "metadata": state.metadata,
        "created_at": state.created_at,
        "checkpoint": checkpoint,
        "parent_checkpoint": parent,
        "interrupts": interrupts_wire(state.interrupts),
        "checkpoint_id": None if checkpoint is None else checkpoint["checkpoint_id"],
        "parent_checkpoint_id": None if parent is None else parent["checkpoint_id"],
    }


def checkpoint_wire(config: RunnableConfig | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the checkpoint that a config names; None when it names none."""
    configurable = {} if config is None else config.get("configurable", {})
    if configurable.get("checkpoint_id") is None:
        return None
    return _place(configurable)


def interrupts_wire(interrupts: Iterable[Interrupt]) -> list[dict[str, Any]]:
    """Return what waits for answers, each with its `id` and `value`."""
    return [_interrupt(interrupt) for interrupt in interrupts]


def waiting_wire(state: StateSnapshot) -> dict[str, list[dict[str, Any]]]:
    """Return what waits for answers by the task that asks."""
    return {task.id: interrupts_wire(task.interrupts) for task in state.tasks if task.interrupts}


def _place(configurable: Mapping[str, Any]) -> dict[str, Any]:
    return {name: configurable[name] for name in _CHECKPOINT if configurable.get(name) is not None}


def _interrupt(interrupt: Interrupt) -> dict[str, Any]:
    shown = {"id": interrupt.id, "value": interrupt.value}
    if isinstance(interrupt.response_schema, dict):
        shown["response_schema"] = interrupt.response_schema
    return shown


def _task(task: PregelTask) -> dict[str, Any]:
    state, checkpoint = None, None
    error: Any = task.error  # a saved one is text already
    if isinstance(task.state, StateSnapshot):
        state = state_wire(task.state)
    elif task.state is not None:
        checkpoint = _place(task.state.get("configurable", {}))
    return {
        "id": task.id,
        "name": task.name,
        "path": task.path,
        "error": error if error is None or isinstance(error, str) else repr(error),
        "interrupts": interrupts_wire(task.interrupts),
        "checkpoint": checkpoint,
        "state": state,
        "result": task.result,
    }
