"""What is searched for when a ticket is to be answered.

A whole message makes a poor question: most of it is greeting, circumstances and thanks, which are in other tickets too
and in no article. So a ticket is asked about several times, each time with a little more of it, and what is found is
fused (`core/retrieval/fusion.py`): a title alone finds well, and is fooled when it is one common word.
"""

import re

from backend.core.desk.extractive_summary import telling_sentences
from backend.dto.desk import TicketText

QUERIES = 3
"""Most that are asked for one ticket."""
QUERY_CHARS = 600
FIRST_SENTENCES = 3
_READ_CHARS = 4_000
"""Of a message, in which what it is about is looked for."""

_PLACEHOLDER = re.compile(r"\[[A-Z]+_\d+\]")
_MARK = re.compile(r"^(?:\s*(?:re|fw|fwd)\s*:|\s*\[[^\]\n]{1,12}\])+", re.IGNORECASE)
"""Before a title: RE:, [긴급]."""
_OWN_NUMBER = re.compile(r"(?<![A-Za-z0-9])(?:[A-Za-z]{2,5}[-_ ]?)?\d{6,}(?:[-_]\d+)*(?![A-Za-z0-9])")
"""An order, an invoice, a parcel. The number of an error is shorter, and tells much."""


def queries_of(ticket: TicketText) -> tuple[str, ...]:
    """Return what to search for, at most `QUERIES`: the title, and with it what tells most of the first message.

    Of the public words of the customer alone. Never empty, unless the ticket is.
    """
    title = _bare(_MARK.sub("", ticket.title)) or _bare(ticket.title)
    said = ""
    telling: list[str] = []
    every: list[str] = []
    for message in ticket.messages:
        if message["author"] != "customer" or message["private"]:
            continue
        said = _bare(str(message["text"])[:_READ_CHARS], lines=True)
        telling, every = telling_sentences(title, said, 1)
        if every:
            break
    if said.startswith(title.removesuffix("…").removesuffix("...")):
        title = ""  # it is how the text begins: said twice, it would count twice
    asked = (title, *("\n".join([title, " ".join(some)]) for some in (telling, every[:FIRST_SENTENCES])))
    kept = tuple(dict.fromkeys(text for one in asked if (text := one.strip()[:QUERY_CHARS].strip())))
    return kept or tuple(text for text in [_bare(said)[:QUERY_CHARS]] if text)


def _bare(text: str, *, lines: bool = False) -> str:
    """Return a text without what is of this customer alone: placeholders, and numbers of orders."""
    kept = _OWN_NUMBER.sub(" ", _PLACEHOLDER.sub(" ", text))
    return "\n".join(" ".join(line.split()) for line in kept.splitlines()) if lines else " ".join(kept.split())
