"""What of a ticket is found by searching: three documents of the corpus `ticket`, which only the desk's people search.

What was asked has public words of the customer alone. What was answered also has the notes of the desk, and so has the
text in attachments: an agent finds a ticket by them, and may be shown them. Nothing of either is ever shown to a
customer, nor to a model that writes to one: that gets `SimilarTicket.answer`, which is public.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from backend.core.desk.cleaning import without_unseen
from backend.core.desk.extractive_summary import tells_what_to_do
from backend.core.desk.personal_data import redact
from backend.core.desk.reply_body import advice_of
from backend.core.retrieval.chunking import Section
from backend.core.retrieval.indexer import Readable
from backend.dto.desk import TicketText
from backend.dto.knowledge import Corpus

TICKETS: Corpus = "ticket"
ASKED_CHARS = 1_500
"""Of what a customer wrote, by which tickets are alike; what follows is rarely about the matter."""
ANSWERED_CHARS = 6_000
FILES = 5
FILE_CHARS = 4_000
"""Of one attachment."""

_PLACEHOLDER = re.compile(r"\[([A-Z]+)_\d+\]")


@dataclass(frozen=True, slots=True)
class AttachedText:
    name: str
    text: str


def documents_of(text: TicketText, attached: Sequence[AttachedText] = ()) -> list[Readable]:
    """Return what is indexed of a ticket; a document without text takes an older one out of the index."""
    asked = asked_in(text)
    source = f"{text.platform}:{text.ticket_id}"
    title = text.title.strip()
    sections: tuple[list[Section], ...] = (
        _section(asked or title),
        _section(_said_by(text, "agent")[:ANSWERED_CHARS].strip()),
        _attached(attached, text),
    )
    titles = (own_title(title, asked), title, title)
    names = names_of(text.ticket)
    asked_name = names[0]
    return [
        # Tickets are alike by what was asked. The rest is found by its words: its vectors would cost ten times as much.
        Readable(document_id=name, title=heading, sections=found, source=source, by_meaning=name == asked_name)
        for name, heading, found in zip(names, titles, sections, strict=True)
    ]


def names_of(ticket: UUID) -> tuple[str, str, str]:
    """Return the ids of a ticket's documents: what was asked, what was answered, what is attached."""
    return str(ticket), f"{ticket}/answer", f"{ticket}/files"


def ticket_of(document_id: str) -> UUID:
    """Return the ticket of a document."""
    return UUID(document_id.partition("/")[0])


def asked_in(text: TicketText) -> str:
    """Return what the customer wrote, as far as tickets are compared by it."""
    return _said_by(text, "customer", private=False)[:ASKED_CHARS].strip()


def own_title(title: str, asked: str) -> str:
    """Return a title, or nothing where it only repeats how the text begins: said twice, it would count twice."""
    return "" if asked and asked.startswith(title.removesuffix("…").removesuffix("...")) else title


def last_reply(text: TicketText) -> str:
    """Return what the desk's last public reply says that tells what to do, else what its last one says, or nothing.

    Without greetings and names, which are of that customer and that colleague, and without what was done for them:
    another one would be promised something that nobody did.
    """
    replies = [
        body
        for message in reversed(text.messages)
        if message["author"] == "agent" and not message["private"]
        if (body := advice_of(str(message["text"])[:ANSWERED_CHARS]))
    ]
    best = next((body for body in replies if tells_what_to_do(body)), next(iter(replies), ""))
    return unnumbered(best)


def unnumbered(text: str) -> str:
    """Return a text whose placeholders have no number, so that none is taken for one of another ticket."""
    return _PLACEHOLDER.sub(r"[\1]", text)


def _said_by(text: TicketText, author: str, *, private: bool = True) -> str:
    return "\n".join(
        str(message["text"])
        for message in text.messages
        if message["author"] == author and (private or not message["private"])
    )


def _attached(attached: Sequence[AttachedText], text: TicketText) -> list[Section]:
    """Return a section a file, headed by its name, cleared of personal data: also of the names in the ticket."""
    if not attached:
        return []
    some = attached[:FILES]
    names = [known for placeholder, known in text.placeholders.items() if placeholder.startswith("[NAME_")]
    shown = [without_unseen(part) for one in some for part in (one.name, one.text[: 2 * FILE_CHARS])]
    told = redact([part[:FILE_CHARS] for part in shown], names).texts
    return [
        Section((unnumbered(name),), said) for name, said in zip(told[::2], told[1::2], strict=True) if said.strip()
    ]


def _section(text: str) -> list[Section]:
    return [Section((), text)] if text else []
