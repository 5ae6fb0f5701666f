"""Tickets, messages and articles with every field that the API gives, before anything is known of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from backend.simulator.freshdesk.text import text_of

Json = dict[str, Any]


def stamp(moment: datetime) -> str:
    """Return a moment as the API writes it: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str) -> datetime:
    """Return the moment that the API wrote."""
    return datetime.fromisoformat(text)


def blank_ticket(number: int, subject: str, description: str, requester_id: int, created_at: str) -> Json:
    """Return a ticket with every field that the API gives."""
    due = moment_of(created_at)
    return {
        "cc_emails": [],
        "fwd_emails": [],
        "reply_cc_emails": [],
        "ticket_cc_emails": [],
        "fr_escalated": False,
        "nr_escalated": False,
        "spam": False,
        "deleted": False,
        "email_config_id": None,
        "group_id": None,
        "priority": 1,
        "requester_id": requester_id,
        "responder_id": None,
        "source": 1,
        "company_id": None,
        "status": 2,
        "subject": subject,
        "association_type": None,
        "to_emails": None,
        "product_id": None,
        "id": number,
        "type": None,
        "due_by": stamp(due + timedelta(days=3)),
        "fr_due_by": stamp(due + timedelta(days=1)),
        "nr_due_by": None,
        "is_escalated": False,
        "custom_fields": {"cf_order_id": None, "cf_product": None, "cf_os": None},
        "tags": [],
        "description": description,
        "description_text": text_of(description),
        "created_at": created_at,
        "attachments": [],
    }


def blank_conversation(
    number: int, ticket_id: int, body: str, user_id: int | None, at: str, *, private: bool, incoming: bool
) -> Json:
    """Return a message with every field that the API gives."""
    return {
        "body": body,
        "body_text": text_of(body),
        "id": number,
        "incoming": incoming,
        "private": private,
        "user_id": user_id,
        "support_email": None,
        "source": 2 if private else 0,
        "category": 2 if private else 1 if incoming else 3,
        "to_emails": [],
        "from_email": None,
        "cc_emails": [],
        "bcc_emails": [],
        "email_failure_count": None,
        "outgoing_failures": None,
        "ticket_id": ticket_id,
        "created_at": at,
        "updated_at": at,
        "attachments": [],
        "source_additional_info": None,
        "automation_id": None,
        "automation_type_id": None,
    }


def blank_article(number: int, folder: Json, title: str, description: str, at: str) -> Json:
    """Return a published article with every field that the API gives."""
    return {
        "id": number,
        "type": 1,
        "category_id": folder["category_id"],
        "folder_id": folder["id"],
        "folder_visibility": folder["visibility"],
        "agent_id": None,
        "created_at": at,
        "updated_at": at,
        "title": title,
        "description": description,
        "description_text": text_of(description),
        "status": 2,
        "seo_data": {"meta_title": title, "meta_description": "", "meta_keywords": ""},
        "tags": [],
        "platforms": ["web", "ios", "android"],
        "attachments": [],
        "cloud_files": [],
        "thumbs_up": 0,
        "thumbs_down": 0,
        "hits": 0,
        "suggested": 0,
        "feedback_count": 0,
        "translations": {},
    }
