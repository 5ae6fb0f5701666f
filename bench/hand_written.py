"""The middle column: what one writes without this server. FastAPI, a `StreamingResponse`, LangGraph's own saver.

It has the paths and bodies that the measurements need, and nothing else: no list of runs, nothing to come back to, no
cancelling, nobody refused. `python -m bench.hand_written PORT FILE`.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import orjson
import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from pydantic import BaseModel

from bench import graph

NAMES = ("echo", "tokens", "rag", "slow")
MODES = {"messages-tuple": "messages", "values": "values"}


class Ask(BaseModel):
    assistant_id: str
    input: dict[str, Any]
    stream_mode: list[str] = ["values"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncSqliteSaver.from_conn_string(sys.argv[2]) as saver:
        app.state.bare = {name: getattr(graph, name).compile() for name in NAMES}
        app.state.kept = {name: getattr(graph, name).compile(checkpointer=saver) for name in NAMES}
        yield


app = FastAPI(lifespan=lifespan)


def dumps(data: Any) -> bytes:
    return orjson.dumps(data, default=lambda message: message.model_dump())


async def events(compiled: Any, ask: Ask, config: Any) -> AsyncIterator[bytes]:
    modes = [MODES[mode] for mode in ask.stream_mode]
    async for mode, part in compiled.astream(ask.input, config, stream_mode=modes):
        yield b"event: %b\ndata: %b\n\n" % (mode.encode(), dumps(part))
    yield b"event: end\ndata: null\n\n"


@app.get("/health/ready")
async def ready() -> None: ...


@app.post("/threads")
async def create_thread() -> dict[str, UUID]:
    return {"thread_id": uuid4()}


@app.post("/runs/wait")
async def wait(ask: Ask) -> Response:
    return Response(dumps(await app.state.bare[ask.assistant_id].ainvoke(ask.input)), media_type="application/json")


@app.post("/threads/{thread_id}/runs/wait")
async def wait_on_thread(thread_id: UUID, ask: Ask) -> Response:
    config = {"configurable": {"thread_id": str(thread_id)}}
    state = await app.state.kept[ask.assistant_id].ainvoke(ask.input, config)
    return Response(dumps(state), media_type="application/json")


@app.post("/runs/stream")
async def stream(ask: Ask) -> StreamingResponse:
    return StreamingResponse(events(app.state.bare[ask.assistant_id], ask, None), media_type="text/event-stream")


@app.post("/threads/{thread_id}/runs/stream")
async def stream_on_thread(thread_id: UUID, ask: Ask) -> StreamingResponse:
    config = {"configurable": {"thread_id": str(thread_id)}}
    return StreamingResponse(events(app.state.kept[ask.assistant_id], ask, config), media_type="text/event-stream")


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
