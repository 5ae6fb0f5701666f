"""What the server says of itself: health, version and abilities, figures."""

from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from backend.api.agent.reply import reply
from backend.api.dependency import Agents, Health, container_of
from backend.api.dependency import Settings as ServerSettings

router = APIRouter(tags=["system"])

_HELP = {
    "n_pending": "Runs that wait.",
    "n_running": "Runs that execute.",
    "pending_runs_wait_time_max_secs": "How long the oldest waiting run has waited.",
}


@router.get("/ok", summary="Is the server there")
async def ok(health: Health, check_db: bool = False) -> Response:
    """Answer at once; with `check_db`, when the database has answered."""
    if check_db:
        await health.check("database")
    return reply({"ok": True, "services": {}})


@router.get("/info", summary="Version and abilities")
async def info(request: Request, agents: Agents, settings: ServerSettings) -> Response:
    """Say what this server is. `graph_errors` names the graphs that could not be loaded, and why."""
    errors = agents.errors()
    if settings.auth_mode != "disabled":  # nobody has said who they are, and paths are nobody's business
        errors = dict.fromkeys(errors, "It could not be loaded. The log says why.")
    return reply(
        {
            "version": container_of(request).version(),
            "langgraph_py_version": version("langgraph"),
            "flags": {
                "assistants": True,
                "crons": True,
                "langsmith": False,
                "langsmith_tracing_replicas": False,
                "strict_resume": True,
            },
            "host": {
                "kind": "self-hosted",
                "project_id": None,
                "host_revision_id": None,
                "revision_id": None,
                "tenant_id": None,
            },
            "server": "daedap",
            "graph_errors": errors,
        }
    )


@router.get("/metrics", summary="Figures")
async def metrics(request: Request, format: Literal["prometheus", "json"] = "prometheus") -> Response:
    """Return how many runs wait and execute, as Prometheus text or JSON."""
    figures = await container_of(request).run_service().figures()
    if format == "json":
        return reply(figures)
    lines = []
    for name, help_text in _HELP.items():
        lines += [f"# HELP daedap_{name} {help_text}", f"# TYPE daedap_{name} gauge"]
        lines.append(f"daedap_{name} {figures['queue'][name]}")
    for name, value in figures["workers"].items():
        lines += [f"# TYPE daedap_workers_{name} gauge", f"daedap_workers_{name} {value}"]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")
