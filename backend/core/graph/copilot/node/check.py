import re

from langchain_core.messages import AIMessage
from langgraph.runtime import Runtime

from backend.core.desk.personal_data import restore
from backend.core.desk.reply_body import arranged
from backend.core.graph.citation import check as check_numbers
from backend.core.graph.citation import without_foreign_links
from backend.core.graph.context import Context
from backend.core.graph.copilot.graph_state import GraphState, Update
from backend.core.graph.copilot.node.gate import passages_of, source
from backend.core.graph.copilot.prompt_manager import CHANGED, FRAME, NOTHING_FITS, SOURCES
from backend.core.graph.desk_ticket import desk_of, reading, rendered
from backend.core.model.extractive import sentences_of

AFTER = ("draft",)
READS = ("messages", "documents", "ticket", "read")
WRITES = ("messages", "draft", "reply", "warning", "citations", "unsupported")

_NUMBERS = re.compile(r"[ \t]?\[\d{1,4}(?:\s*,\s*\d{1,4})*\]")


async def check(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Keep of the source numbers those that exist, and put personal data back in place: the agent alone sees it.

    The message keeps its id, so that it takes the place of the streamed one.
    """
    written = state["messages"][-1]
    if not isinstance(written, AIMessage):  # an added node may have said something else
        return {}
    documents = state["documents"]
    shown = passages_of(documents)
    passages = {passage.index: passage.text for passage in shown}
    addresses = [str(document["url"]) for document in documents if document.get("url")]
    verdict = check_numbers(without_foreign_links(written.text, [*passages.values(), *addresses]), passages)
    ticket = await desk_of(runtime).ticket(state["ticket"]["id"])
    # Of what the model was shown alone: a customer may ask for the numbers that stand in the notes.
    seen = rendered(ticket, private=False)
    known = {name: stood for name, stood in ticket.placeholders.items() if name in seen}
    # Another server may have written the draft, and died; in what the ticket says since, a number is somebody else's.
    changed = reading(ticket) != state.get("read")
    text = verdict.text if changed else restore(verdict.text, known)
    citations = [source(index, documents[index - 1]) for index in verdict.cited]
    public = [cited for cited in citations if cited["kind"] == "article" and cited.get("url")]
    reply = _NUMBERS.sub("", text).strip()
    if not runtime.context.has_llm:
        chosen = sentences_of(reply, shown)
        body = arranged(chosen.splitlines(), shown) or (NOTHING_FITS[ticket.language] if public else chosen)
        reply = FRAME[ticket.language].format(body=body)
    if public:
        lines = dict.fromkeys(f"- {cited['title']}: {cited['url']}" for cited in public)
        reply = "\n".join([reply, "", f"{SOURCES[ticket.language]}:", *lines])
    notes = {"citations": citations, "unsupported": verdict.unsupported if runtime.context.has_llm else []}
    message = written.model_copy(
        update={"content": text, "additional_kwargs": {**written.additional_kwargs, **notes, "draft": True}}
    )
    return {
        "messages": [message],
        "draft": text,
        "reply": reply,
        "warning": CHANGED[ticket.language] if changed else "",
        **notes,
    }
