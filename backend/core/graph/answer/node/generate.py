from langgraph.runtime import Runtime

from backend.core.graph.answer.chain_builder import CHAINS
from backend.core.graph.answer.graph_state import GraphState, Update
from backend.core.graph.context import Context
from backend.core.graph.conversation import history_of, question_of
from backend.core.graph.passage_prompt import presented, render
from backend.util.language import language

AFTER = ("gate",)
READS = ("messages", "documents")
WRITES = ("messages", "answer")


async def generate(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Write the answer from the passages. Reads `messages` and `documents`, writes the answer."""
    question = question_of(state["messages"]).text.strip()
    passages = presented(state["documents"])
    chain = CHAINS.generate(runtime.context.writer, language(question))
    # The extractive model picks sentences by the words of what it is asked: the standalone form tells it more.
    asked = question if runtime.context.has_llm else state["query"]
    message = await chain.ainvoke(
        {
            "history": history_of(state["messages"]) if runtime.context.has_llm else [],
            "message": render(asked, passages),
        }
    )
    return {"messages": [message], "answer": message.text}
