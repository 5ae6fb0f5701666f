"""What the API shows of what an account holds: which fields, with which `include`."""

from collections.abc import Callable, Mapping
from typing import Any

from backend.simulator.freshdesk.account import Account

Json = dict[str, Any]
Sign = Callable[[Json], Json]
"""Gives an attachment a link that works for a while."""
STATUS_NAMES: Mapping[int, str] = {
    2: "Open",
    3: "Pending",
    4: "Resolved",
    5: "Closed",
    6: "Waiting on Customer",
    7: "Waiting on Third Party",
}
SINGLE_INCLUDES = ("conversations", "requester", "company", "stats")
LIST_INCLUDES = ("requester", "stats", "description", "company")
EMBEDDED_CONVERSATIONS = 10
_NOT_IN_LISTS = ("description", "description_text", "attachments")


def ticket_item(account: Account, ticket: Json, include: frozenset[str]) -> Json:
    """Return a ticket as lists show it: without its text, unless that is asked for, and without attachments."""
    shown = {name: value for name, value in ticket.items() if name not in _NOT_IN_LISTS}
    if "description" in include:
        shown |= {"description": ticket["description"], "description_text": ticket["description_text"]}
    return shown | _embedded(account, ticket, include)


def whole_ticket(account: Account, ticket: Json, include: frozenset[str], sign: Sign) -> Json:
    """Return a ticket as `GET /tickets/{id}` shows it."""
    shown = {**ticket, "attachments": [sign(attachment) for attachment in ticket["attachments"]]}
    if "conversations" in include:
        first = account.conversations(ticket["id"])[:EMBEDDED_CONVERSATIONS]
        shown["conversations"] = [conversation(item, sign) for item in first]
    return shown | _embedded(account, ticket, include)


def conversation(item: Json, sign: Sign) -> Json:
    """Return a message with links that work."""
    return {**item, "attachments": [sign(attachment) for attachment in item["attachments"]]}


def _embedded(account: Account, ticket: Json, include: frozenset[str]) -> Json:
    more: Json = {}
    if "requester" in include:
        contact = account.contacts.get(ticket["requester_id"], {})
        more["requester"] = {name: contact.get(name) for name in ("id", "name", "email", "mobile", "phone")}
    if "company" in include:
        company = account.companies.get(ticket["company_id"] or 0)
        more["company"] = {"id": company["id"], "name": company["name"]} if company else {}
    if "stats" in include:
        more["stats"] = _stats(ticket, account.conversations(ticket["id"]))
    return more


def _stats(ticket: Json, conversations: list[Json]) -> Json:
    sent = [item["created_at"] for item in conversations if not item["incoming"] and not item["private"]]
    received = [item["created_at"] for item in conversations if item["incoming"]]
    ended = ticket["updated_at"] if ticket["status"] in {4, 5} else None
    return {
        "agent_responded_at": sent[-1] if sent else None,
        "requester_responded_at": received[-1] if received else None,
        "first_responded_at": sent[0] if sent else None,
        "status_updated_at": ticket["updated_at"],
        "reopened_at": None,
        "resolved_at": ended,
        "closed_at": ended if ticket["status"] == 5 else None,
        "pending_since": ticket["updated_at"] if ticket["status"] == 3 else None,
    }


def article(account: Account, item: Json, language: str | None, sign: Sign) -> Json | None:
    """Return an article in a language, None where it is not translated."""
    shown = {name: value for name, value in item.items() if name != "translations"}
    if language is not None:
        translation = item.get("translations", {}).get(language)
        if translation is None:
            return None
        shown |= translation
    return {
        **shown,
        "hierarchy": _hierarchy(account, item["folder_id"], language),
        "attachments": [sign(attachment) for attachment in item["attachments"]],
    }


def _hierarchy(account: Account, folder_id: int, language: str | None) -> list[Json]:
    """Return the category and the folders above an article, from the top, by their names in a language."""
    above = [("folder", account.folders[folder_id])]
    while (parent := above[0][1]["parent_folder_id"]) is not None:
        above.insert(0, ("folder", account.folders[parent]))
    above.insert(0, ("category", account.categories[above[0][1]["category_id"]]))
    levels = []
    for level, (kind, item) in enumerate(above):
        name = item.get("translations", {}).get(language, item)["name"]
        data = {"id": item["id"], "name": name, "language": language or account.languages["primary_language"]}
        levels.append({"level": level, "type": kind, "data": data})
    return levels


def translated(item: Json, language: str | None) -> Json | None:
    """Return a category or a folder in a language, None where it is not translated."""
    shown = {name: value for name, value in item.items() if name != "translations"}
    if language is None:
        return shown
    translation = item.get("translations", {}).get(language)
    return None if translation is None else shown | translation
