"""A run as the Agent Server API shows it, in answers and to webhooks."""

from typing import Any

from backend.dto.run import Run
from backend.util.id_generator import default_assistant_id


def run_wire(run: Run) -> dict[str, Any]:
    """Return the run's fields; a queued one is shown as `pending`."""
    request = run.request
    assistant_id = request.assistant_id or str(default_assistant_id(request.agent))
    named = {"graph_id": request.agent, "assistant_id": assistant_id}
    shown: dict[str, Any] = {
        "run_id": run.run_id,
        "thread_id": run.thread_id,
        "assistant_id": assistant_id,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
        "status": "pending" if run.status == "queued" else run.status,
        "metadata": {**request.metadata, **named},
        "kwargs": _kwargs(run),
        "multitask_strategy": request.multitask_strategy,
        "langsmith_session_name": (request.tracer or {}).get("project_name"),
    }
    if (reason := run.cancel_reason or run.cancel_action) is not None:
        shown["cancel_reason"] = reason
    return shown


def _kwargs(run: Run) -> dict[str, Any]:
    request = run.request
    command = None
    if request.has_command:
        command = {"update": request.update, "goto": request.goto}
        if request.has_resume:
            command["resume"] = request.resume
    return {
        "input": request.input,
        "command": command,
        "config": {
            "tags": request.tags,
            "recursion_limit": request.recursion_limit,
            "configurable": {
                # not what a project's own authentication said of the user, which may hold secrets
                **{key: value for key, value in request.configurable.items() if key != "langgraph_auth_user"},
                "run_id": run.run_id,
                "thread_id": run.thread_id,
                "graph_id": request.agent,
                "assistant_id": request.assistant_id,
                "user_id": run.user_id,
            },
        },
        "context": request.context,
        "stream_mode": request.stream_mode,
        "interrupt_before": request.interrupt_before,
        "interrupt_after": request.interrupt_after,
        "webhook": request.webhook,
        "feedback_keys": None,
        "temporary": request.temporary,
        "subgraphs": request.stream_subgraphs,
        "resumable": request.stream_resumable,
        "checkpoint_during": request.durability != "exit",
        "durability": request.durability,
    }
