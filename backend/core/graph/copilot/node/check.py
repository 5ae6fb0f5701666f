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
from backend.core.graph.copilot.prompt_manager import FRAME, NOTHING_FITS, SOURCES, WARNINGS
from backend.core.graph.desk_ticket import desk_of, reading, rendered
from backend.core.model.extractive import sentences_of
from backend.util.language import language

AFTER = ("draft",)
READS = ("messages", "documents", "ticket", "read")
WRITES = ("messages", "draft", "reply", "warnings", "citations", "unsupported")

TEXT_CHARS = 20_000
"""Most of a draft: a model that does not stop writes no reply that anybody reads."""
_READ_CHARS = 2_000
"""Of a reply, by which its language is told."""
_MARK = re.compile(r"\[[A-Z]{2,12}(?:_[0-9]{1,9})?\]")
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
    ticket = await desk_of(runtime).ticket(state["ticket"]["id"])
    # Of what the model was shown alone: a customer may ask for the numbers that stand in the notes.
    seen = rendered(ticket, private=False)
    known = {name: stood for name, stood in ticket.placeholders.items() if name in seen}
    # Another server may have written the draft, and died; in what the ticket says since, a number is somebody else's.
    changed = reading(ticket) != state.get("read")
    said = written.text[:TEXT_CHARS]
    # Links are looked for in what stands there in the end: somebody's name may be one.
    whole = said if changed else restore(said, known)
    verdict = check_numbers(without_foreign_links(whole, [*passages.values(), *addresses]), passages)
    text = verdict.text
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
    warned = {
        "changed": changed,
        "marks": not changed and _MARK.search(reply) is not None,
        "empty": not text.strip(),
        "language": bool(text.strip()) and language(reply[:_READ_CHARS]) != ticket.language,
        "long": len(written.text) > TEXT_CHARS,
    }
    warnings = [WARNINGS[ticket.language][name] for name, is_so in warned.items() if is_so]
    notes = {"citations": citations, "unsupported": verdict.unsupported if runtime.context.has_llm else []}
    message = written.model_copy(
        update={"content": text, "additional_kwargs": {**written.additional_kwargs, **notes, "draft": True}}
    )
    return {
        "messages": [message],
        "draft": text,
        "reply": reply,
        "warnings": warnings,
        **notes,
    }
