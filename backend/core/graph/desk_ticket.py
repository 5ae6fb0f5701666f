"""What the agents of the support desk do alike: find out which ticket is meant, and show it to a model."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from langgraph.runtime import Runtime

from backend.core.error import Invalid, Unavailable
from backend.core.graph.context import Context
from backend.core.graph.desk import Desk
from backend.core.graph.passage_prompt import fenced
from backend.dto.desk import TicketText

CONVERSATION_CHARS = 12_000
"""Most of a ticket that a prompt shows; of a longer one, its beginning and its end."""
INSTRUCTION_CHARS = 2_000

_NUMBER = re.compile(
    r"(?:#|티켓\s*(?:번호)?|\bticket(?:\s*(?:no\.?|number))?)\s*#?\s*(?=[A-Za-z-]*\d)([A-Za-z0-9][A-Za-z0-9-]{0,63})",
    re.IGNORECASE,
)
"""With a digit in it: "make the ticket shorter" names none."""
_BARE = re.compile(r"\s*#?(\d{1,20})\s*(?:\Z|\n|:)")
"""Not "1. Be brief": that is a list."""


def desk_of(runtime: Runtime[Context]) -> Desk:
    """Return the tenant's desk.

    Raises:
        Unavailable: there is none where this graph runs.
    """
    if runtime.context.desk is None:
        raise Unavailable("This agent needs a support desk, which the server gives it.")
    return runtime.context.desk


def asked_ticket(state: Mapping[str, Any]) -> tuple[str, str]:
    """Return the id of the ticket that is meant, and what the agent asked for beside it.

    It is `ticket_id` of the input, or the number in the last message ("42", "42: …", "#42 …", "ticket 42 …",
    "티켓 42 …"), or the ticket that the thread was about before.

    Raises:
        Invalid: nothing names a ticket.
    """
    said = _last_words(state.get("messages") or ())
    if state.get("ticket_id"):
        return str(state["ticket_id"]), said[:INSTRUCTION_CHARS]
    if found := _BARE.match(said):
        return found[1], said[found.end() :][:INSTRUCTION_CHARS].strip()
    if found := _NUMBER.search(said):
        beside = f"{said[: found.start()].rstrip()} {said[found.end() :].lstrip(' :,.')}"
        return found[1], beside.strip()[:INSTRUCTION_CHARS]
    if before := state.get("ticket"):
        return str(before["id"]), said[:INSTRUCTION_CHARS]
    raise Invalid("The input names no ticket: give `ticket_id`, or a message such as `ticket 42`.")


def shown(ticket: TicketText) -> dict[str, Any]:
    """Return a ticket as a graph's state keeps it: plain JSON, and without what its placeholders stand for."""
    return {
        "id": str(ticket.ticket),
        "ticket_id": ticket.ticket_id,
        "platform": ticket.platform,
        "title": ticket.title,
        "status": ticket.status_name,
        "priority": ticket.priority,
        "language": ticket.language,
    }


def rendered(ticket: TicketText, *, private: bool) -> str:
    """Return a ticket as a prompt shows it, escaped, so that nothing in it can end it; `private` adds its notes."""
    lines = [
        f'<message from="{message["author"]}"{' private="true"' if message.get("private") else ""}>\n'
        f"{fenced(str(message['text']))}\n</message>"
        for message in ticket.messages
        if private or not message.get("private")
    ]
    text = "\n".join(lines)
    if len(text) > CONVERSATION_CHARS:
        half = CONVERSATION_CHARS // 2
        text = f"{text[:half]}\n[…]\n{text[-half:]}"
    head = f'title="{fenced(ticket.title, quote=True)}" status="{fenced(ticket.status_name, quote=True)}"'
    return f"<ticket {head}>\n{text}\n</ticket>"


def reading(ticket: TicketText) -> str:
    """Return what tells this reading of a ticket from another one, where placeholders may stand for something else."""
    said = "\n".join([ticket.title, *(str(message["text"]) for message in ticket.messages)])
    return hashlib.sha256(f"{ticket.content_hash}\n{said}".encode()).hexdigest()


def _last_words(messages: Sequence[BaseMessage]) -> str:
    for message in reversed(messages):
        if isinstance(message, HumanMessage):
            return message.text.strip()
    return ""
