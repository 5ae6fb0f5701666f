"""The left column: the same graphs in a loop of their own, with LangGraph's own SQLite saver where a thread is kept.

Reads one scenario a line from standard input, and answers with one line.
"""

import asyncio
import gc
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from bench import graph

QUESTION = {"messages": [{"role": "user", "content": "hi"}]}


async def several(once: Callable[[], Awaitable[int]], count: int, at_once: int) -> dict[str, float]:
    """Do it `count` times, `at_once` at a time; `once` returns how many events it saw."""
    todo = iter(range(count))
    events = 0

    async def work() -> None:
        nonlocal events
        for _ in todo:
            events += await once()

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(at_once)))
    took = time.perf_counter() - began
    return {
        "rate": count / took,
        "events": events / took,
        "cpu_ms": (time.process_time() - cpu) / count * 1000,
    }


def scenarios(saver: AsyncSqliteSaver) -> dict[str, Callable[[], Awaitable[int]]]:
    kept = {name: getattr(graph, name).compile(checkpointer=saver) for name in ("echo", "rag")}
    bare = {name: getattr(graph, name).compile() for name in ("echo", "tokens")}

    def thread() -> dict[str, Any]:
        return {"configurable": {"thread_id": str(uuid.uuid4())}}

    async def stateless() -> int:
        state = await bare["echo"].ainvoke(QUESTION)
        assert state["messages"][-1].content == "You said: hi"
        return 1

    async def new_thread() -> int:
        state = await kept["echo"].ainvoke(QUESTION, thread())
        assert state["messages"][-1].content == "You said: hi"
        return 1

    async def tokens() -> int:
        return sum([1 async for _ in bare["tokens"].astream(QUESTION, stream_mode="messages")])

    async def rag() -> int:
        modes: Any = ["messages", "custom", "values"]
        return sum([kind == "messages" async for kind, _ in kept["rag"].astream(QUESTION, thread(), stream_mode=modes)])

    return {"stateless": stateless, "new thread": new_thread, "tokens": tokens, "rag": rag}


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncSqliteSaver.from_conn_string(f"{folder}/sqlite.db") as saver:
            do = scenarios(saver)
            gc.collect()
            gc.freeze()
            gc.set_threshold(20_000, 20, 50)
            while line := await asyncio.to_thread(sys.stdin.readline):
                asked = json.loads(line)
                print(json.dumps(await several(do[asked["name"]], asked["count"], asked["at_once"])), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
