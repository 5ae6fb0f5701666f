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
from typing import Any

import uvloop
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from bench import graph
from bench.measure import Once, Seen, several
from bench.scenario import SAID, TURNS, WORDS

QUESTION = {"messages": [{"role": "user", "content": "hi"}]}


def scenarios(saver: AsyncSqliteSaver) -> dict[str, Once]:
    kept = {name: getattr(graph, name).compile(checkpointer=saver) for name in ("echo", "rag")}
    bare = {name: getattr(graph, name).compile() for name in ("echo", "tokens", "slow")}

    def thread() -> dict[str, Any]:
        return {"configurable": {"thread_id": str(uuid.uuid4())}}

    async def stateless() -> Seen:
        state = await bare["echo"].ainvoke(QUESTION)
        assert state["messages"][-1].content == "You said: hi"
        return {}

    async def new_thread() -> Seen:
        state = await kept["echo"].ainvoke(QUESTION, thread())
        assert state["messages"][-1].content == "You said: hi"
        return {}

    async def conversation() -> Seen:
        on = thread()
        seen: Seen = {"runs": TURNS}
        for turn in range(1, TURNS + 1):
            began = time.perf_counter()
            state = await kept["echo"].ainvoke({"messages": [{"role": "user", "content": SAID}]}, on)
            assert len(state["messages"]) == 2 * turn
            seen[f"turn {turn}"] = time.perf_counter() - began
        return seen

    async def streamed(name: str) -> Seen:
        began = time.perf_counter()
        first, count = 0.0, 0
        async for _ in bare[name].astream(QUESTION, stream_mode="messages"):
            if not count:
                first = time.perf_counter() - began
            count += 1
        assert count >= WORDS[name]
        return {"events": count, "first": first}

    async def rag() -> Seen:
        modes: Any = ["messages", "values"]
        kinds = [kind async for kind, _ in kept["rag"].astream(QUESTION, thread(), stream_mode=modes)]
        assert kinds.count("messages") >= WORDS["rag"]
        return {"events": kinds.count("messages")}

    return {
        "stateless": stateless,
        "new thread": new_thread,
        "conversation": conversation,
        "tokens": lambda: streamed("tokens"),
        "slow": lambda: streamed("slow"),
        "rag": rag,
    }


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
