from dataclasses import asdict
from uuid import uuid4

from langchain_core.messages import AIMessage
from langgraph.constants import START
from langgraph.runtime import Runtime

from backend.core.error import Invalid
from backend.core.graph.context import Context
from backend.core.graph.desk_ticket import asked_ticket, desk_of, shown
from backend.core.graph.summary.graph_state import GraphState, Update
from backend.dto.desk import Summary
from backend.util.language import Language

AFTER = (START,)
READS = ("messages", "ticket", "ticket_id", "platform", "language")
WRITES = ("messages", "ticket_id", "platform", "ticket", "summary", "answer")

_LABELS: dict[Language, dict[str, str]] = {
    "ko": {"problem": "문제", "cause": "원인", "solution": "해결", "result": "결과", "keywords": "핵심어"},
    "en": {
        "problem": "Problem",
        "cause": "Cause",
        "solution": "Solution",
        "result": "Result",
        "keywords": "Keywords",
    },
}


async def summarize(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Summarize the ticket that is meant. Reads `ticket_id` or the last message, writes `summary` and the answer."""
    ticket_id, _ = asked_ticket(state)
    wanted = state.get("language")
    if wanted not in {None, "ko", "en"}:
        raise Invalid("`language` is `ko` or `en`.")
    desk = desk_of(runtime)
    ticket = await desk.ticket(ticket_id, state.get("platform"))
    tongue: Language = ticket.language if wanted is None else "ko" if wanted == "ko" else "en"
    summary = await desk.summarize(ticket, runtime.context.model, tongue)
    text = _in_words(summary, tongue)
    return {
        "messages": [AIMessage(text, id=str(uuid4()))],
        "ticket_id": "",
        "platform": None,
        "ticket": shown(ticket),
        "summary": {**asdict(summary), "keywords": list(summary.keywords)},
        "answer": text,
    }


def _in_words(summary: Summary, language: Language) -> str:
    labels = _LABELS[language]
    said = {
        "problem": summary.problem,
        "cause": summary.cause,
        "solution": summary.solution,
        "result": summary.result,
        "keywords": ", ".join(summary.keywords),
    }
    return "\n".join(f"{labels[name]}: {value}" for name, value in said.items() if value)
