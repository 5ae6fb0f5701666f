"""The people of a desk, with ids that never change: agents, groups, companies, contacts, and the ticket fields."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from backend.simulator.freshdesk.blank import stamp
from backend.simulator.freshdesk.content.people import (
    AGENTS,
    COMPANIES,
    ENGLISH_NAMES,
    FAMILY_NAMES,
    GIVEN_NAMES,
    GROUPS,
    ROMANISED,
)
from backend.simulator.freshdesk.view import STATUS_NAMES

Json = dict[str, Any]
ADMIN_ROLE, AGENT_ROLE = 43_000_300_001, 43_000_300_002
_AGENT, _GROUP, _COMPANY, _CONTACT, _FIELD = (43_000_000_000 + part * 100_000 for part in (1, 2, 4, 5, 6))
_CONTACTS = 64
_SEEN = {
    2: "Being Processed",
    3: "Awaiting your Reply",
    4: "This ticket has been Resolved",
    5: "This ticket has been Closed",
    6: "Awaiting your Reply",
    7: "Being Processed",
}
"""What customers read for a status."""
SUPPORT = "support@ondam.example"


@dataclass(frozen=True, slots=True)
class Desk:
    agents: dict[int, Json]
    groups: dict[int, Json]
    """In the order of the areas."""
    companies: dict[int, Json]
    contacts: dict[int, Json]
    ticket_fields: list[Json]
    by_language: dict[str, list[Json]]
    """The contacts again."""

    def group_of(self, area: str) -> int:
        """Return the group that handles an area."""
        return _GROUP + list(GROUPS).index(area) + 1

    def writers_of(self, language: str) -> list[Json]:
        """Return the contacts who write a language."""
        return self.by_language[language]


def make_desk(now: datetime) -> Desk:
    """Return the people, as they are at a moment."""
    rng = Random(20_261_121)
    long_ago, lately = stamp(now - timedelta(days=900)), stamp(now - timedelta(hours=1))
    groups: dict[int, Json] = {
        _GROUP + position: {
            "id": _GROUP + position,
            "name": name,
            "description": f"{name} 문의를 담당합니다.",
            "escalate_to": None,
            "unassigned_for": None,
            "business_hour_id": None,
            "group_type": "support_agent_group",
            "agent_ids": [],
            "created_at": long_ago,
            "updated_at": long_ago,
        }
        for position, name in enumerate(GROUPS.values(), 1)
    }
    agents: dict[int, Json] = {}
    for position, (name, mail, scope, admin) in enumerate(AGENTS, 1):
        own = list(groups) if scope == 1 else [_GROUP + 4]
        agents[_AGENT + position] = {
            "id": _AGENT + position,
            "available": True,
            "occasional": False,
            "ticket_scope": scope,
            "type": "support_agent",
            "group_ids": own,
            "role_ids": [ADMIN_ROLE if admin else AGENT_ROLE],
            "skill_ids": [],
            "signature": f"<p>{name}<br>온담 고객지원팀</p>",
            "created_at": long_ago,
            "updated_at": long_ago,
            "last_active_at": lately,
            "contact": {
                "active": True,
                "email": f"{mail}@ondam.example",
                "job_title": "Support lead" if admin else "Support agent",
                "language": "en" if name.isascii() else "ko",
                "last_login_at": lately,
                "mobile": None,
                "name": name,
                "phone": f"02-000-{1000 + position}",
                "time_zone": "Seoul",
                "created_at": long_ago,
                "updated_at": long_ago,
            },
        }
        for group in own:
            groups[group]["agent_ids"].append(_AGENT + position)
    companies: dict[int, Json] = {
        _COMPANY + position: {
            "id": _COMPANY + position,
            "name": name,
            "description": None,
            "domains": [domain],
            "note": None,
            "health_score": None,
            "account_tier": ("Basic", "Premium", "Enterprise")[position % 3],
            "industry": "Retail",
            "renewal_date": None,
            "custom_fields": {},
            "created_at": long_ago,
            "updated_at": long_ago,
        }
        for position, (name, domain) in enumerate(COMPANIES, 1)
    }
    contacts: dict[int, Json] = {}
    for position in range(1, _CONTACTS + 1):
        english = position % 4 == 0
        if english:
            name = ENGLISH_NAMES[position // 4 % len(ENGLISH_NAMES)]
            user = name.lower().replace(" ", ".").replace("'", "")
        else:
            family, given = rng.choice(FAMILY_NAMES), rng.choice(GIVEN_NAMES)
            name, user = family + given, f"{ROMANISED[given]}.{ROMANISED[family]}"
        company = _COMPANY + 11 + position // 4 % 2 if english else _COMPANY + 1 + position % 10
        contacts[_CONTACT + position] = {
            "id": _CONTACT + position,
            "active": True,
            "address": None,
            "name": name,
            "email": f"{user}{position}@{companies[company]['domains'][0]}",
            "other_emails": [],
            # Numbers that begin with 0000 are given to nobody.
            "phone": f"010-0000-{1000 + position * 37:04d}",
            "mobile": f"010-0000-{1000 + position * 37:04d}",
            "company_id": company,
            "view_all_tickets": False,
            "description": None,
            "job_title": None,
            "language": "en" if english else "ko",
            "tags": [],
            "time_zone": "Seoul",
            "twitter_id": None,
            "facebook_id": None,
            "custom_fields": {},
            "created_at": long_ago,
            "updated_at": long_ago,
        }
    by_language: dict[str, list[Json]] = {"ko": [], "en": []}
    for contact in contacts.values():
        by_language[contact["language"]].append(contact)
    return Desk(agents, groups, companies, contacts, _ticket_fields(long_ago), by_language)


def _ticket_fields(at: str) -> list[Json]:
    kinds = ["Question", "Incident", "Problem", "Feature Request", "Refund"]
    products = ["Ondam Admin", "Ondam Orders", "Ondam Billing", "Ondam API", "Ondam Mobile"]
    statuses = {str(code): [name, _SEEN[code]] for code, name in STATUS_NAMES.items()}
    sources = {"Email": 1, "Portal": 2, "Phone": 3, "Chat": 7, "Feedback Widget": 9}
    groups = {name: _GROUP + number for number, name in enumerate(GROUPS.values(), 1)}
    agents = {name: _AGENT + number for number, (name, *_) in enumerate(AGENTS, 1)}
    choices: list[tuple[str, str, str, Any, bool]] = [
        ("requester", "Search a requester", "default_requester", None, True),
        ("subject", "Subject", "default_subject", None, True),
        ("ticket_type", "Type", "default_ticket_type", kinds, True),
        ("source", "Source", "default_source", sources, True),
        ("status", "Status", "default_status", statuses, True),
        ("priority", "Priority", "default_priority", {"Low": 1, "Medium": 2, "High": 3, "Urgent": 4}, True),
        ("group", "Group", "default_group", groups, True),
        ("agent", "Agent", "default_agent", agents, True),
        ("description", "Description", "default_description", None, True),
        ("company", "Company", "default_company", None, True),
        ("cf_order_id", "주문번호", "custom_text", None, False),
        ("cf_product", "제품", "custom_dropdown", products, False),
        ("cf_os", "운영체제", "custom_text", None, False),
    ]
    fields = []
    for position, (name, label, kind, values, default) in enumerate(choices, 1):
        field = {
            "id": _FIELD + position,
            "name": name,
            "label": label,
            "description": None,
            "position": position,
            "required_for_closure": False,
            "required_for_agents": default,
            "type": kind,
            "default": default,
            "customers_can_edit": not default,
            "label_for_customers": label,
            "required_for_customers": False,
            "displayed_to_customers": True,
            "created_at": at,
            "updated_at": at,
        }
        fields.append(field if values is None else {**field, "choices": values})
    return fields
