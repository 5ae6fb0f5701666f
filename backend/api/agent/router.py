"""All routes of the Agent Server API, at the root of the server as the official clients expect them."""

from fastapi import APIRouter

from backend.api.agent import a2a, assistant, cron, event_stream, mcp, run, store, system, thread

hot_routes = [*run.hot.routes, *thread.hot.routes]
"""Those that `HotPath` answers by itself."""

router = APIRouter()
for part in (
    run.hot,
    thread.hot,
    system.router,
    assistant.router,
    thread.router,
    cron.router,  # before the runs: `/runs/crons` is no run
    run.router,
    event_stream.router,
    store.router,
    mcp.router,
    a2a.router,
):
    router.include_router(part)
