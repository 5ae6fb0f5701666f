from langgraph.constants import START
from langgraph.runtime import Runtime

from backend.core.graph.answer.chain_builder import CHAINS
from backend.core.graph.answer.graph_state import GraphState, Update
from backend.core.graph.context import Context
from backend.core.graph.conversation import history_of, question_of
from backend.util.language import language, leans_on_history, terms

AFTER = (START,)
READS = ("messages",)
WRITES = ("query", "documents", "evidence", "enough", "answer", "citations", "unsupported", "refused")

MAX_QUERY_CHARS = 1_000
"""Most of a question that is searched for; also the end of a model that does not stop."""
CARRIED_TERMS = 6


async def condense(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Make the question stand alone, and forget the turn before. Reads `messages`, writes `query`."""
    question = question_of(state["messages"]).text.strip()
    history = history_of(state["messages"])
    query = question
    if history and runtime.context.has_llm:
        chain = CHAINS.condense(runtime.context.model, language(question))
        rewritten = await chain.ainvoke({"history": history, "message": question})
        query = " ".join(rewritten.text.split()) or question
    elif history and leans_on_history(question):
        # Without a model, the words of the user's question before say what "and the deadline?" is about.
        before = next((message.text for message in reversed(history) if message.type == "human"), "")
        own = terms(question)
        query = " ".join([*[term for term in terms(before) if term not in own][:CARRIED_TERMS], question])
    return {
        "query": query[:MAX_QUERY_CHARS],
        "documents": [],
        "evidence": 0.0,
        "enough": False,
        "answer": "",
        "citations": [],
        "unsupported": [],
        "refused": False,
    }
