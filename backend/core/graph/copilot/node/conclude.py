import html
from uuid import uuid4

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.runtime import Runtime

from backend.core.error import DomainError
from backend.core.graph.context import Context
from backend.core.graph.copilot.graph_state import GraphState, Update
from backend.core.graph.copilot.prompt_manager import CONCLUDED
from backend.core.graph.desk_ticket import desk_of

AFTER = ("review",)
READS = ("ticket", "draft", "decision", "citations", "summary")
WRITES = ("messages", "answer", "note_id", "note_problem")


async def conclude(state: GraphState, config: RunnableConfig, runtime: Runtime[Context]) -> Update:
    """Keep what the person did with the draft, and write it to the ticket as a private note when asked to.

    Both are done once, however often this is taken up again: they are known by the decision. A platform that does not
    take the note loses nobody the decision: the person is told, and has the text.
    """
    desk = desk_of(runtime)
    ids = config["configurable"]
    decision = state["decision"]
    action = decision["action"]
    ticket = await desk.ticket(state["ticket"]["id"])
    said = CONCLUDED[ticket.language]
    text = said[action]
    note_id: str | None = None
    problem: str | None = None
    if decision["write_note"] and decision["text"].strip():
        body = html.escape(decision["text"], quote=False).replace("\n", "<br>\n")
        try:
            note_id = await desk.add_note(state["ticket"]["id"], body, key=decision["id"])
        except DomainError as error:
            problem = error.detail
        text = f"{text} {said['no_note'] if note_id is None else said['note']}"
    await desk.keep_feedback(
        action,
        key=decision["id"],
        ticket=ticket,
        run_id=str(ids["run_id"]),
        thread_id=str(ids["thread_id"]),
        draft=state["draft"],
        final=decision["text"],
        comment=decision["comment"] or None,
        metadata={"sources": [cited["index"] for cited in state["citations"]], "model": state["summary"].get("model")},
    )
    notes = {"decision": action, "note_id": note_id, "note_problem": problem}
    return {
        "messages": [AIMessage(text, id=str(uuid4()), additional_kwargs=notes)],
        "answer": decision["text"] or text,
        "note_id": note_id,
        "note_problem": problem,
    }
