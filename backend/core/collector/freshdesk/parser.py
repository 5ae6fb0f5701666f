"""Freshdesk's JSON as our data: strict about ids, tolerant about everything that can be missing.

What is not as it must be raises `BadValue`, for that one item; the rest of its page is read. Codes are those of
https://developers.freshdesk.com/api/.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

from backend.core.collector.platform import Languages
from backend.dto.ticket import (
    PRIORITY_NAMES,
    STATUS_NAMES,
    ArticleData,
    AttachmentData,
    Audience,
    AuthorType,
    ConversationData,
    MessageType,
    TicketData,
)

MAX_ATTACHMENTS = 200
MAX_TAGS = 200
MAX_BODY = 1_000_000
"""Characters of a description, a message or an article that are kept: as many as our own API takes. What is longer has
pictures written into it, and lists of such texts would fill the memory."""
MAX_TITLE = 2_000
MAX_LANGUAGES = 20
"""That articles are read in, beside their own."""
_STRICTNESS: Mapping[Audience, int] = {"customer": 0, "member": 1, "agent": 2}
_VISIBILITY: Mapping[int, Audience] = {1: "customer", 2: "member"}
"""Of a folder: 1 all users, 2 who is logged in; 3 to 7 are agents, single companies, bots and segments."""
_PUBLISHED = 2
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z]{2,4})?")
"""Such as `en` and `pt-BR`; it gets into a path."""
_MERGED = re.compile(
    r"\bticket is closed and merged into (?:the )?ticket\s*(?:<a\b[^<>]{0,500}>\s*)?#?(\d{1,19})", re.IGNORECASE
)


class BadValue(Exception):
    """An item cannot be read: `code` for a machine, the text for a person; neither quotes the item."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Agent:
    name: str
    email: str | None


@dataclass(frozen=True, slots=True)
class Folder:
    """Where articles are: its own names and those above it, and who may read there."""

    folder_id: str
    category_id: str
    path: tuple[str, ...]
    audience: Audience


def id_of(value: Any, what: str = "id") -> str:
    """Return an id as text.

    Raises:
        BadValue: it is no whole positive number.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
        raise BadValue("bad-id", f"The {what} is not a number.")
    return str(value)


def ticket(raw: Any, agents: Mapping[str, Agent], statuses: Mapping[int, str]) -> TicketData:
    """Return a ticket, with the names that the account gives its own statuses.

    Raises:
        BadValue: its id, its status or the moment of its last change is missing.
    """
    item = _object(raw)
    ticket_id = id_of(item.get("id"))
    status, priority = item.get("status"), item.get("priority")
    if isinstance(status, bool) or not isinstance(status, int) or not 0 <= status < 2**31:
        raise BadValue("bad-status", "The status is not a number.")
    updated_at = moment(item.get("updated_at"))
    if updated_at is None:
        raise BadValue("bad-time", "The moment of the last change is missing.")
    requester, stats = _map(item.get("requester")), _map(item.get("stats"))
    assignee_id = _optional_id(item.get("responder_id"))
    assignee = agents.get(assignee_id or "")
    source = item.get("source")
    return TicketData(
        ticket_id=ticket_id,
        title=_text(item.get("subject")).strip()[:MAX_TITLE],
        description=_body(item, "description"),
        status=status,
        status_name=STATUS_NAMES.get(status) or statuses.get(status) or f"status {status}",
        priority=priority if isinstance(priority, int) and priority in PRIORITY_NAMES else 1,
        source=source if isinstance(source, int) and not isinstance(source, bool) else None,
        type=_text(item.get("type")) or None,
        requester_id=_optional_id(item.get("requester_id")),
        requester_email=_email(requester.get("email")),
        requester_name=_text(requester.get("name")) or None,
        assignee_id=assignee_id,
        assignee_email=assignee.email if assignee else None,
        assignee_name=assignee.name if assignee else None,
        group_id=_optional_id(item.get("group_id")),
        customer_company_id=_optional_id(item.get("company_id")),
        tags=_texts(item.get("tags")),
        custom_fields=_map(item.get("custom_fields")),
        spam=item.get("spam") is True,
        deleted=item.get("deleted") is True,
        merged_into=_optional_id(item.get("merged_into")),
        attachments=attachments(item.get("attachments")),
        platform_created_at=moment(item.get("created_at")),
        platform_updated_at=updated_at,
        resolved_at=moment(stats.get("resolved_at")) or moment(stats.get("closed_at")),
        original=_without(item, "description", "description_text", "conversations", "attachments"),
    )


def conversation(raw: Any, agents: Mapping[str, Agent]) -> ConversationData:
    """Return a message of a ticket.

    Who wrote it is not said: what comes in is the customer's, what nobody wrote is the system's, the rest an agent's.

    Raises:
        BadValue: it has no id.
    """
    item = _object(raw)
    author_id = _optional_id(item.get("user_id"))
    name, address = parseaddr(_text(item.get("from_email")))
    email = _email(address)
    private = item.get("private") is not False  # what may be a note is treated as one
    author_type: AuthorType
    if item.get("incoming") is True:
        author_type = "customer"
    elif author_id is None:
        author_type = "system"
    else:
        author_type = "agent"
    if author_type == "agent" and (known := agents.get(author_id or "")) is not None:
        name, email = known.name, known.email
    message_type: MessageType = "public"
    if private:
        message_type = "note" if author_type == "system" else "private"
    return ConversationData(
        conversation_id=id_of(item.get("id")),
        content=_body(item, "body"),
        message_type=message_type,
        author_type=author_type,
        author_id=author_id,
        author_email=email,
        author_name=name or None,
        attachments=attachments(item.get("attachments")),
        platform_created_at=moment(item.get("created_at")),
        platform_updated_at=moment(item.get("updated_at")),
        original=_without(item, "body", "body_text", "attachments"),
    )


def merged_into(messages: Iterable[ConversationData]) -> str | None:
    """Return the ticket that another was merged into, which Freshdesk says in a note alone.

    A customer's words are not looked at.
    """
    found = None
    for message in messages:
        if message.author_type != "customer" and message.message_type != "public":
            match = _MERGED.search(message.content)
            found = match[1] if match else found
    return found


def article(raw: Any, folder: Folder, host: str) -> ArticleData:
    """Return an article of a folder, for whom all folders above it and its own state let read it.

    Raises:
        BadValue: it has no id.
    """
    item = _object(raw)
    article_id = id_of(item.get("id"))
    published = item.get("status") == _PUBLISHED
    audience: Audience = folder.audience if published else "agent"
    if "folder_visibility" in item:
        audience = strictest(audience, audience_of(item["folder_visibility"]))
    seo = _map(item.get("seo_data"))
    return ArticleData(
        article_id=article_id,
        title=_text(item.get("title")).strip(),
        description=_body(item, "description"),
        audience=audience,
        published=published,
        folder_id=folder.folder_id,
        category_id=folder.category_id,
        path=folder.path,
        url=f"https://{host}/support/solutions/articles/{article_id}",
        tags=_texts(item.get("tags")) or _texts(seo.get("meta_keywords")),
        attachments=attachments(item.get("attachments")),
        platform_created_at=moment(item.get("created_at")),
        platform_updated_at=moment(item.get("updated_at")),
        original=_without(item, "description", "description_text", "attachments"),
    )


def translation(raw: Any, of: ArticleData, language: str, host: str) -> ArticleData:
    """Return an article in another language, for those alone who may read the original.

    Its files are those of the original: what a translation names of them is not kept a second time.

    Raises:
        BadValue: it is another article.
    """
    item = _object(raw)
    if id_of(item.get("id")) != of.article_id:
        raise BadValue("bad-id", "It is another article.")
    made = article(item, Folder(of.folder_id or "", of.category_id or "", of.path, of.audience), host)
    return replace(
        made,
        article_id=f"{of.article_id}:{language}",
        audience=made.audience if of.published else "agent",
        path=_path(item.get("hierarchy"), len(of.path)) or of.path,
        url=f"https://{host}/{language}/support/solutions/articles/{of.article_id}",
        attachments=(),
        language=language,
        translation_of=of.article_id,
    )


def languages(raw: Any) -> Languages | None:
    """Return what the settings of an account say of its languages, if anything; those of its portal come first."""
    settings = _map(raw)
    if not isinstance(settings.get("supported_languages"), list):
        return None
    primary = _text(settings.get("primary_language"))
    shown = [each for each in _texts(settings.get("portal_languages")) if _LANGUAGE.fullmatch(each)]
    supported = [each for each in _texts(settings.get("supported_languages")) if _LANGUAGE.fullmatch(each)]
    others = [each for each in dict.fromkeys([*shown, *supported]) if each != primary]
    return Languages(primary if _LANGUAGE.fullmatch(primary) else None, tuple(others[:MAX_LANGUAGES]), frozenset(shown))


def attachments(raw: Any) -> tuple[AttachmentData, ...]:
    """Return the files of a ticket, a message or an article; what has no id is passed over."""
    found = []
    for item in raw[:MAX_ATTACHMENTS] if isinstance(raw, list) else ():
        fields = _map(item)
        attachment_id = _optional_id(fields.get("id"))
        if attachment_id is None:
            continue
        size = fields.get("file_size", fields.get("size"))
        found.append(
            AttachmentData(
                attachment_id=attachment_id,
                name=_text(fields.get("name"))[:255] or attachment_id,
                content_type=_text(fields.get("content_type"))[:255] or "application/octet-stream",
                size=size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else 0,
                url=_text(fields.get("attachment_url")) or None,
            )
        )
    return tuple(found)


def agent(raw: Any) -> tuple[str, Agent]:
    """Return an agent and its id.

    Raises:
        BadValue: it has no id.
    """
    item = _object(raw)
    contact = _map(item.get("contact"))
    email = _email(contact.get("email"))
    return id_of(item.get("id")), Agent(_text(contact.get("name")) or email or "", email)


def status_names(fields: Any) -> dict[int, str]:
    """Return what the account calls its statuses, from its ticket fields."""
    found: dict[int, str] = {}
    for field in fields if isinstance(fields, list) else ():
        item = _map(field)
        if item.get("name") != "status" and item.get("type") != "default_status":
            continue
        for number, labels in _map(item.get("choices")).items():
            label = labels[0] if isinstance(labels, list) and labels else labels
            if number.isascii() and number.isdigit() and len(number) < 10 and isinstance(label, str) and label:
                found[int(number)] = label[:255]
    return found


def audience_of(visibility: Any) -> Audience:
    """Return who may read a folder; one of a kind that is not known is for agents."""
    known = isinstance(visibility, int) and not isinstance(visibility, bool)
    return _VISIBILITY.get(visibility, "agent") if known else "agent"


def strictest(*audiences: Audience) -> Audience:
    """Return the smallest of several audiences."""
    return max(audiences, key=_STRICTNESS.__getitem__)


def moment(value: Any) -> datetime | None:
    """Return a time in ISO 8601, in UTC; None where there is none."""
    if not isinstance(value, str) or not 10 <= len(value) <= 40:
        return None
    try:
        found = datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _path(hierarchy: Any, length: int) -> tuple[str, ...]:
    """Return the names of the category and the folders above an article, in its language, where it tells all."""
    levels = hierarchy if isinstance(hierarchy, list) else []
    names = tuple(name_of(_map(level).get("data")) for level in levels)
    return names if len(names) == length and all(names) else ()


def name_of(raw: Any) -> str:
    """Return the name of a category or a folder."""
    return _text(_map(raw).get("name"))[:255]


def clean(value: Any) -> Any:
    """Return JSON without what a database cannot keep: NUL, and halves of characters."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(name): clean(item) for name, item in value.items()}
    return value


def _object(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise BadValue("not-an-object", "It is not a JSON object.")
    return raw


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _body(item: Mapping[str, Any], name: str) -> str:
    """Return the HTML of an item, or else its text; of either, what is kept."""
    return (_text(item.get(name)) or _text(item.get(f"{name}_text")))[:MAX_BODY]


def _texts(value: Any) -> tuple[str, ...]:
    items: Sequence[Any] = value[:MAX_TAGS] if isinstance(value, list) else ()
    return tuple(item for item in items if isinstance(item, str) and item)


def _email(value: Any) -> str | None:
    text = _text(value).strip()
    return text.lower() if "@" in text else None


def _optional_id(value: Any) -> str | None:
    try:
        return id_of(value)
    except BadValue:
        return None


def _without(item: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Leave out what has a place of its own: texts, which are most of it, and files, whose links are secrets."""
    return {name: value for name, value in item.items() if name not in names}
