from langchain_core.messages import AIMessage
from langgraph.runtime import Runtime

from backend.core.graph.answer.graph_state import GraphState, Update
from backend.core.graph.citation import check, without_foreign_links
from backend.core.graph.context import Context
from backend.core.graph.conversation import citation
from backend.core.graph.passage_prompt import presented

AFTER = ("generate",)
READS = ("messages", "documents")
WRITES = ("messages", "answer", "citations", "unsupported")


async def check_citations(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Keep of the source numbers those that exist. Reads the answer and `documents`, writes the checked answer.

    The message keeps its id, so that it takes the place of the streamed one.
    """
    written = state["messages"][-1]
    if not isinstance(written, AIMessage):  # an added node may end the turn with another message; it is not an answer
        return {}
    passages = {passage.index: passage.text for passage in presented(state["documents"])}
    addresses = [str(document["url"]) for document in state["documents"] if document.get("url")]
    verdict = check(without_foreign_links(written.text, [*passages.values(), *addresses]), passages)
    citations = [citation(index, state["documents"][index - 1]) for index in verdict.cited]
    # The extractive model copies sentences, and what it adds of its own is that it is no language model.
    unsupported = verdict.unsupported if runtime.context.has_llm else []
    notes = {"citations": citations, "unsupported": unsupported}
    message = written.model_copy(
        update={"content": verdict.text, "additional_kwargs": {**written.additional_kwargs, **notes}}
    )
    return {"messages": [message], "answer": verdict.text, **notes}
