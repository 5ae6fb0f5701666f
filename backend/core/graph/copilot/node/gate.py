from collections.abc import Sequence
from typing import Any, Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from backend.core.graph.context import Context
from backend.core.graph.conversation import citation
from backend.core.graph.copilot.graph_state import GraphState
from backend.core.graph.passage_prompt import PromptPassage, presented
from backend.util.language import language

AFTER = ("summarize", "find_similar", "retrieve")
READS = ("ticket", "documents", "enough", "similar", "similar_enough")
WRITES = ("documents", "citations")

EARLIER = 3
"""Answers to similar tickets that a draft may follow."""
NEAR = 0.8
"""Of the best one's, among tickets and among articles: what has less is about something else."""
_READ_CHARS = 500
"""Of a source, by which its language is told."""
ANSWER_TITLE = "Earlier answer"


async def gate(state: GraphState, runtime: Runtime[Context]) -> Command[Literal["refuse", "draft"]]:
    """Choose whether there is enough to write a draft from, and show its sources. Writes `documents` in their order."""
    articles = _near(state["documents"]) if state["enough"] else []
    documents = [*articles, *(_answered(ticket) for ticket in _alike(state))]
    if not runtime.context.has_llm:  # nobody translates, and a customer is answered in their language
        tongue = state["ticket"]["language"]
        elsewhere = [one for one in documents if language(f"{one['title']}\n{one['text']}"[:_READ_CHARS]) != tongue]
        documents = [one for one in documents if one not in elsewhere]
        if elsewhere and not documents:
            named = [source(place, one) for place, one in enumerate(elsewhere, start=1)]
            return Command(goto="refuse", update={"documents": [], "citations": named})
    if not documents:
        return Command(goto="refuse", update={"documents": []})
    for passage in passages_of(documents):
        runtime.stream_writer({"type": "citation", **source(passage.index, documents[passage.index - 1])})
    return Command(goto="draft", update={"documents": documents})


def passages_of(documents: Sequence[dict[str, Any]]) -> list[PromptPassage]:
    """Return what a draft is written from; of other customers' tickets neither number nor title."""
    return presented([{**one, "title": ANSWER_TITLE} if one["kind"] == "ticket" else one for one in documents])


def source(index: int, document: dict[str, Any]) -> dict[str, Any]:
    """Return how a source is shown: what it is, an id and a label, never its text."""
    return {**citation(index, document), "kind": document["kind"], "ticket_id": document.get("ticket_id")}


def _near(articles: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    least = NEAR * max((article["score"] for article in articles), default=0.0)
    return [article for article in articles if article["score"] >= least]


def _alike(state: GraphState) -> list[dict[str, Any]]:
    """Return the tickets whose answers may serve: by themselves, whatever their status or age adds to their score."""
    if not state["similar_enough"]:
        return []
    least = NEAR * max((ticket["relevance"] for ticket in state["similar"]), default=0.0)
    return [ticket for ticket in state["similar"] if ticket["answer"] and ticket["relevance"] >= least][:EARLIER]


def _answered(ticket: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "ticket",
        "ticket_id": ticket["ticket_id"],
        "title": f"#{ticket['ticket_id']} {ticket['title']}".strip(),
        "path": [],
        "text": ticket["answer"],
        "url": ticket["url"],
        "score": ticket["score"],
    }
