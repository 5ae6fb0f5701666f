from typing import Any
from uuid import uuid4

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from backend.core.graph.context import Context
from backend.core.graph.copilot.graph_state import GraphState, Update

AFTER = ("check",)
READS = ("ticket", "internal", "draft", "reply", "warnings", "citations")
WRITES = ("decision",)

ACTIONS = ("accept", "edit", "reject")
TEXT_CHARS = 50_000
COMMENT_CHARS = 5_000


async def review(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Wait for the person: the run ends as interrupted and is resumed with a decision. Writes `decision`.

    The node runs again from its first line when it is resumed, so nothing outside is touched here. An answer that is
    none is asked for again.
    """
    problem: str | None = None
    while True:
        asked: dict[str, Any] = {
            "action": "review_draft",
            "ticket": state["ticket"],
            "draft": state["draft"],
            "reply": state["reply"],
            "citations": state["citations"],
            "internal": state["internal"],
            "options": list(ACTIONS),
            "answer_with": {"action": "accept | edit | reject", "text": "for edit", "comment": "", "write_note": False},
        }
        if warnings := state.get("warnings"):
            asked["warnings"] = warnings
        if problem:
            asked["problem"] = problem
        given = interrupt(asked)
        problem, decision = read_decision(given, state["reply"])
        if decision is not None:
            # By its id, what follows from it is done once: however often, and by which run, that is taken up again.
            return {"decision": {"id": str(uuid4()), **decision}}


def read_decision(given: Any, reply: str) -> tuple[str | None, dict[str, Any] | None]:
    """Return what is wrong with an answer, or the decision in it. A plain word or true and false will do."""
    if isinstance(given, bool):
        given = "accept" if given else "reject"
    if isinstance(given, str):
        given = {"action": given.strip().lower()}
    if not isinstance(given, dict) or given.get("action") not in ACTIONS:
        return f"`action` must be one of {', '.join(ACTIONS)}.", None
    action, text, comment = given["action"], given.get("text"), given.get("comment") or ""
    if action == "edit" and not (isinstance(text, str) and text.strip()):
        return "`edit` needs the changed `text`.", None
    if not isinstance(comment, str) or len(comment) > COMMENT_CHARS:
        return f"`comment` must be a text of at most {COMMENT_CHARS} characters.", None
    if isinstance(text, str) and len(text) > TEXT_CHARS:
        return f"`text` has more than {TEXT_CHARS} characters.", None
    note = given.get("write_note", False)
    if not isinstance(note, bool):
        return "`write_note` must be true or false.", None
    if action == "reject":
        return None, {"action": action, "text": None, "comment": comment, "write_note": False}
    return None, {
        "action": action,
        "text": text.strip() if action == "edit" and isinstance(text, str) else reply,
        "comment": comment,
        "write_note": note,
    }
