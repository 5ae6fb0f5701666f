"""An account: what it holds, and how that changes while the simulator runs.

Everything is kept in the shape in which the API gives it (`GET /tickets/{id}`), as plain dictionaries. Tickets that
nobody changed may come out of an `Archive`, which makes them when they are asked for.
"""

import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from backend.simulator.freshdesk.blank import blank_article, blank_conversation, blank_ticket, moment_of, stamp
from backend.simulator.freshdesk.text import text_of
from backend.util.clock import utc_now

Json = dict[str, Any]
State = Literal["live", "deleted", "spam"]
OrderBy = Literal["created_at", "due_by", "updated_at", "status"]
Event = Literal[
    "ticket_created",
    "ticket_updated",
    "ticket_deleted",
    "note_added",
    "reply_sent",
    "customer_replied",
    "article_changed",
]
_STATES: tuple[State, ...] = ("live", "deleted", "spam")
_ROOM = 10**9
"""An entry of an index is `second * _ROOM + id`: it sorts by second, then by id, and fits in 64 bits."""
LANGUAGES = ("ko", "en")
"""The first is the account's own; articles may be translated to the others."""


def _second(text: str) -> int:
    return int(moment_of(text).timestamp())


@dataclass(frozen=True, slots=True)
class Change:
    """What a watcher is told."""

    event: Event
    id: int
    """The ticket's, or the article's."""


@dataclass(frozen=True, slots=True)
class File:
    """What lies behind an attachment's link."""

    id: int
    name: str
    content_type: str
    content: bytes | None
    """None: the storage has lost it, though the ticket names it."""
    created_at: str
    link_seconds: float | None = None
    """How long its links live; None is what the simulator was told."""
    size: int | None = None
    """What the ticket says its size is; None is the truth."""


class Archive(Protocol):
    """Tickets that are made when they are asked for, always the same ones. Their ids are 1 to `len`."""

    def __len__(self) -> int: ...

    def updated(self, number: int) -> int:
        """Return the second of the epoch in which a ticket changed last."""

    def created(self, number: int) -> int:
        """Return the second of the epoch in which a ticket was written."""

    def ticket(self, number: int) -> Json: ...

    def conversations(self, number: int) -> list[Json]: ...


class _Index:
    """Ids in the order of a moment; 8 bytes each."""

    def __init__(self) -> None:
        self.entries = array("Q")

    def add(self, second: int, number: int) -> None:
        entry = second * _ROOM + number
        self.entries.insert(bisect_left(self.entries, entry), entry)

    def remove(self, second: int, number: int) -> None:
        entry = second * _ROOM + number
        position = bisect_left(self.entries, entry)
        if position < len(self.entries) and self.entries[position] == entry:
            del self.entries[position]

    def since(self, second: int | None) -> int:
        """Return the position of the first entry at or after a second."""
        return 0 if second is None else bisect_left(self.entries, second * _ROOM)

    def ids(self, first: int = 0, last: int | None = None) -> list[int]:
        return [entry % _ROOM for entry in self.entries[first:last]]


class Account:
    """One help desk. Its methods may be called from any thread; those that change it also bump `updated_at`.

    account = demo_account()
    account.update_ticket(12, status=4)
    account.add_conversation(12, "<p>해결되었습니다.</p>", private=True)
    """

    def __init__(
        self, subdomain: str, *, clock: Callable[[], datetime] = utc_now, archive: Archive | None = None
    ) -> None:
        """Make an account without content.

        Args:
            subdomain: What stands before `.freshdesk.com`.
            clock: The time, for whatever changes from now on.
            archive: The tickets that are there from the beginning.
        """
        self.subdomain = subdomain
        self.clock = clock
        self.lock = threading.RLock()
        self.api_keys: dict[str, int] = {}
        """The id of the agent whom a key belongs to."""
        self.agents: dict[int, Json] = {}
        self.groups: dict[int, Json] = {}
        self.companies: dict[int, Json] = {}
        self.contacts: dict[int, Json] = {}
        self.ticket_fields: list[Json] = []
        self.categories: dict[int, Json] = {}
        self.folders: dict[int, Json] = {}
        """With `parent_folder_id`, None at the top of a category."""
        self.articles: dict[int, Json] = {}
        """With `translations`: a language's title and description."""
        self.languages: Json = {
            "primary_language": LANGUAGES[0],
            "supported_languages": list(LANGUAGES[1:]),
            "portal_languages": list(LANGUAGES[1:]),
        }
        """As `GET /settings/helpdesk` shows them."""
        self.files: dict[int, File] = {}
        self.watchers: list[Callable[[Change], None]] = []
        self.archive = archive
        self._tickets: dict[int, Json] = {}
        self._conversations: dict[int, list[Json]] = {}
        self._index: dict[tuple[State, str], _Index] = {
            (state, name): _Index() for state in _STATES for name in ("created_at", "updated_at")
        }
        self._archived = len(archive) if archive is not None else 0
        self._gone: set[int] = set()
        """Archived tickets that were erased."""
        self._next_ticket = self._archived + 1
        self._next_id = 43_900_000_001
        if archive is not None:
            numbers = range(1, self._archived + 1)
            updated = (archive.updated(number) * _ROOM + number for number in numbers)
            created = sorted(archive.created(number) * _ROOM + number for number in numbers)
            self._index["live", "updated_at"].entries = array("Q", updated)
            self._index["live", "created_at"].entries = array("Q", created)

    # What it holds

    def ticket(self, number: int) -> Json | None:
        """Return a ticket, deleted and spam ones too; None when there is none."""
        if number in self._tickets:
            return self._tickets[number]
        if self.archive is not None and 1 <= number <= self._archived and number not in self._gone:
            return self.archive.ticket(number)
        return None

    def conversations(self, number: int) -> list[Json]:
        """Return a ticket's messages, the oldest first."""
        if number in self._conversations:
            return self._conversations[number]
        if self.archive is not None and 1 <= number <= self._archived and number not in self._gone:
            return self.archive.conversations(number)
        return []

    def count(self, state: State = "live") -> int:
        """Return how many tickets there are."""
        return len(self._index[state, "created_at"].entries)

    def ids(self, state: State = "live") -> list[int]:
        """Return the tickets' ids in the order of their last change."""
        return self._index[state, "updated_at"].ids()

    def page(
        self,
        state: State = "live",
        *,
        order_by: OrderBy = "created_at",
        descending: bool = True,
        updated_since: datetime | None = None,
        created_since: datetime | None = None,
        where: Callable[[Json], bool] | None = None,
        offset: int = 0,
        limit: int = 30,
    ) -> tuple[list[Json], bool]:
        """Return tickets, and whether more come after them. Both bounds are inclusive.

        Listing by `updated_at` with `updated_since`, or by `created_at` with `created_since`, costs as much as the
        page is long; anything else looks at all tickets.
        """
        other, bound = (created_since, updated_since) if order_by == "updated_at" else (updated_since, created_since)
        if where is None and other is None and order_by in {"updated_at", "created_at"}:
            index = self._index[state, order_by]
            # Without a fraction: what changed in the same second is at or after the bound.
            first, end = index.since(None if bound is None else int(bound.timestamp())), len(index.entries)
            if descending:
                stop = max(end - offset, first)
                start = max(stop - limit, first)
                numbers, more = index.ids(start, stop)[::-1], start > first
            else:
                start = min(first + offset, end)
                stop = min(start + limit, end)
                numbers, more = index.ids(start, stop), stop < end
            return [ticket for number in numbers if (ticket := self.ticket(number)) is not None], more
        found = self._scan(state, updated_since, created_since, where)
        found.sort(key=lambda ticket: (ticket[order_by] or "", ticket["id"]), reverse=descending)
        return found[offset : offset + limit], offset + limit < len(found)

    def _scan(
        self,
        state: State,
        updated_since: datetime | None,
        created_since: datetime | None,
        where: Callable[[Json], bool] | None,
    ) -> list[Json]:
        index = self._index[state, "updated_at"]
        first = index.since(None if updated_since is None else int(updated_since.timestamp()))
        oldest = None if created_since is None else stamp(created_since)
        tickets = (self.ticket(number) for number in index.ids(first))
        return [
            ticket
            for ticket in tickets
            if ticket is not None
            and (oldest is None or ticket["created_at"] >= oldest)
            and (where is None or where(ticket))
        ]

    # How it changes

    def add_ticket(
        self,
        subject: str,
        description: str,
        *,
        requester_id: int,
        conversations: Iterable[Json] = (),
        files: Sequence[File] = (),
        silent: bool = False,
        **fields: Any,
    ) -> int:
        """Write a ticket and return its id. `fields` are the API's own names, times as the API writes them."""
        with self.lock:
            number = fields.pop("id", None) or self._next_ticket
            self._next_ticket = max(self._next_ticket, number + 1)
            now = stamp(self.clock())
            ticket = blank_ticket(number, subject, description, requester_id, fields.get("created_at", now))
            ticket["company_id"] = self.contacts.get(requester_id, {}).get("company_id")
            ticket["attachments"] = [self.attach(file) for file in files]
            ticket.update(fields)
            ticket.setdefault("updated_at", ticket["created_at"])
            self._tickets[number] = ticket
            self._conversations[number] = list(conversations)
            self._enter(ticket)
            if not silent:
                self._tell("ticket_created", number)
            return number

    def update_ticket(self, number: int, **fields: Any) -> Json:
        """Change fields of a ticket (the API's own names); return it.

        Raises:
            KeyError: there is no such ticket.
        """
        with self.lock:
            ticket = self._own(number)
            self._leave(ticket)
            if "description" in fields:
                fields.setdefault("description_text", text_of(fields["description"]))
            if "custom_fields" in fields:
                fields["custom_fields"] = {**ticket["custom_fields"], **fields["custom_fields"]}
            ticket.update(fields)
            ticket["updated_at"] = fields.get("updated_at", stamp(self.clock()))
            self._enter(ticket)
            self._tell("ticket_updated", number)
            return ticket

    def add_conversation(
        self,
        number: int,
        body: str,
        *,
        private: bool = False,
        incoming: bool = False,
        user_id: int | None = None,
        files: Sequence[File] = (),
        **fields: Any,
    ) -> Json:
        """Add a message (HTML) to a ticket; return it. Without `user_id` it is by the customer or the first agent.

        Raises:
            KeyError: there is no such ticket.
        """
        with self.lock:
            ticket = self._own(number)
            by = user_id or (ticket["requester_id"] if incoming else next(iter(self.agents)))
            now = stamp(self.clock())
            conversation = blank_conversation(self.new_id(), number, body, by, now, private=private, incoming=incoming)
            conversation["attachments"] = [self.attach(file) for file in files]
            conversation.update(fields)
            self._conversations[number].append(conversation)
            self._touch(ticket)
            self._tell("customer_replied" if incoming else "note_added" if private else "reply_sent", number)
            return conversation

    def edit_conversation(self, number: int, conversation_id: int, body: str) -> None:
        """Change the text of a message, which also changes its ticket's `updated_at`.

        Raises:
            KeyError: there is no such ticket, or no such message.
        """
        with self.lock:
            ticket = self._own(number)
            for conversation in self._conversations[number]:
                if conversation["id"] == conversation_id:
                    conversation.update(body=body, body_text=text_of(body), updated_at=stamp(self.clock()))
                    self._touch(ticket)
                    self._tell("ticket_updated", number)
                    return
            raise KeyError(conversation_id)

    def delete_ticket(self, number: int) -> None:
        """Put a ticket into the trash: gone from the lists, still there by its id and under `filter=deleted`."""
        self._flag(number, deleted=True)

    def restore_ticket(self, number: int) -> None:
        """Take a ticket out of the trash or out of spam."""
        self._flag(number, deleted=False, spam=False)

    def mark_spam(self, number: int) -> None:
        """Make a ticket spam: gone from the lists, still there by its id and under `filter=spam`."""
        self._flag(number, spam=True)

    def erase_ticket(self, number: int) -> None:
        """Delete a ticket for good: its id is not known any more."""
        with self.lock:
            self._leave(self._own(number))
            del self._tickets[number], self._conversations[number]
            self._gone.add(number)
            self._tell("ticket_deleted", number)

    def merge(self, source: int, into: int, *, by: int | None = None) -> None:
        """Merge a ticket into another as an agent does: the first is closed, and both get a note that says so."""
        with self.lock:
            merged = self._own(source)
            text = merged["description"]
            self.add_conversation(
                source, f"<div>This ticket is closed and merged into ticket {into}</div>", private=True, user_id=by
            )
            self.add_conversation(
                into,
                f"<div>Merged from ticket {source}<br><br><b>Subject:</b> {merged['subject']}<br><br>"
                f"<b>Description:</b><br>{text}</div>",
                private=True,
                user_id=by,
            )
            self.update_ticket(source, status=5)

    def add_article(self, folder_id: int, title: str, description: str, *, draft: bool = False, **fields: Any) -> Json:
        """Write an article (HTML) into a folder; return it."""
        with self.lock:
            now = stamp(self.clock())
            article = {**blank_article(self.new_id(), self.folders[folder_id], title, description, now), **fields}
            article.update(agent_id=fields.get("agent_id", next(iter(self.agents))), status=1 if draft else 2)
            self.articles[article["id"]] = article
            self._tell("article_changed", article["id"])
            return article

    def update_article(self, article_id: int, **fields: Any) -> Json:
        """Change fields of an article; return it."""
        with self.lock:
            article = self.articles[article_id]
            if "description" in fields:
                fields.setdefault("description_text", text_of(fields["description"]))
            article.update(fields)
            article["updated_at"] = stamp(self.clock())
            self._tell("article_changed", article_id)
            return article

    def translate_article(
        self, article_id: int, language: str, title: str, description: str, *, draft: bool = False
    ) -> None:
        """Write a translation (HTML), or another text of it. It has times of its own, and the original's stay."""
        with self.lock:
            now = stamp(self.clock())
            translations = self.articles[article_id]["translations"]
            translations[language] = {
                "title": title,
                "description": description,
                "description_text": text_of(description),
                "status": 1 if draft else 2,
                "created_at": translations.get(language, {}).get("created_at", now),
                "updated_at": now,
            }
            self._tell("article_changed", article_id)

    def untranslate_article(self, article_id: int, language: str) -> None:
        """Delete a translation."""
        with self.lock:
            del self.articles[article_id]["translations"][language]
            self._tell("article_changed", article_id)

    def hide_article(self, article_id: int) -> None:
        """Make an article a draft, which customers do not see."""
        self.update_article(article_id, status=1)

    def delete_article(self, article_id: int) -> None:
        """Delete an article; its id is not known any more."""
        with self.lock:
            del self.articles[article_id]
            self._tell("article_changed", article_id)

    def set_visibility(self, folder_id: int, visibility: int) -> None:
        """Say who sees a folder, 1 (everybody) to 7. The articles' own `updated_at` does not change, as in life."""
        with self.lock:
            folder = self.folders[folder_id]
            folder.update(visibility=visibility, updated_at=stamp(self.clock()))
            for article in self.articles.values():
                if article["folder_id"] == folder_id:
                    article["folder_visibility"] = visibility
                    self._tell("article_changed", article["id"])

    def new_id(self) -> int:
        """Return an id that nothing has; above 32 bits, as the real ones are."""
        with self.lock:
            self._next_id += 1
            return self._next_id

    def new_file(
        self,
        name: str,
        content_type: str,
        content: bytes | None,
        *,
        link_seconds: float | None = None,
        size: int | None = None,
    ) -> File:
        """Make a file that a ticket, a message or an article can be given."""
        return File(self.new_id(), name, content_type, content, stamp(self.clock()), link_seconds, size)

    def attach(self, file: File) -> Json:
        """Keep a file and return the attachment that names it."""
        self.files[file.id] = file
        size = file.size if file.size is not None else len(file.content or b"")
        return {
            "id": file.id,
            "content_type": file.content_type,
            "file_size": size,
            "name": file.name,
            "attachment_url": "",  # written anew, and signed, with each answer
            "created_at": file.created_at,
            "updated_at": file.created_at,
        }

    def _own(self, number: int) -> Json:
        """Return a ticket that may be changed; an archived one is taken out of the archive."""
        if number not in self._tickets:
            ticket = self.ticket(number)
            if ticket is None:
                raise KeyError(number)
            self._conversations[number] = self.conversations(number)
            self._tickets[number] = ticket
        return self._tickets[number]

    def _flag(self, number: int, **flags: bool) -> None:
        with self.lock:
            ticket = self._own(number)
            self._leave(ticket)
            ticket.update(flags)
            ticket["updated_at"] = stamp(self.clock())
            self._enter(ticket)
            self._tell("ticket_deleted" if any(flags.values()) else "ticket_updated", number)

    def _touch(self, ticket: Json) -> None:
        self._leave(ticket)
        ticket["updated_at"] = stamp(self.clock())
        self._enter(ticket)

    def _enter(self, ticket: Json) -> None:
        for name in ("created_at", "updated_at"):
            self._index[_state(ticket), name].add(_second(ticket[name]), ticket["id"])

    def _leave(self, ticket: Json) -> None:
        for name in ("created_at", "updated_at"):
            self._index[_state(ticket), name].remove(_second(ticket[name]), ticket["id"])

    def _tell(self, event: Event, number: int) -> None:
        for watcher in tuple(self.watchers):
            watcher(Change(event, number))


def _state(ticket: Json) -> State:
    return "deleted" if ticket["deleted"] else "spam" if ticket["spam"] else "live"
