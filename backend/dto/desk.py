"""What the desk's agents make of tickets: summaries, similar tickets, drafts, and what people thought of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

FeedbackKind = Literal["accept", "edit", "reject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A ticket in five fields; an empty one is not known."""

    problem: str
    cause: str
    solution: str
    result: str
    keywords: tuple[str, ...]
    """At most three."""
    language: Literal["ko", "en"]
    model: str
    """The alias that wrote it; `extractive` without a language model."""
    prompt: str
    """Name and version of the prompt."""
    digest: str
    """SHA-256 of what it was made from: content, prompt, model, parameters, language."""
    truncated: bool = False
    """Whether the ticket was too long to be read whole."""
    fallback: bool = False
    """Whether the model's answer could not be used, so that rules wrote this; such a summary is not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarTicket:
    ticket: UUID
    ticket_id: str
    platform: str
    title: str
    excerpt: str
    """From its cleaned, redacted text."""
    status: int
    status_name: str
    priority: int
    solution: str
    """What helped, where it is known; it may come from private notes."""
    url: str | None
    created_at: datetime | None
    updated_at: datetime | None
    score: float
    """0..1, with the boosts."""
    relevance: float
    """0..1, without them."""
    boosts: Mapping[str, float] = field(default_factory=dict)
    """What was added for being resolved, recent, of a high priority."""
    answer: str = ""
    """The desk's last public reply, cleaned and redacted: what another customer may be told as well."""


@dataclass(frozen=True, slots=True)
class SimilarTickets:
    """What a search for tickets found."""

    tickets: tuple[SimilarTicket, ...]
    evidence: float
    """Confidence, 0..1, that any of them is about what was asked."""
    enough: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketText:
    """A ticket as a model may see it: cleaned of quotes and signatures, personal data replaced by placeholders."""

    ticket: UUID
    ticket_id: str
    platform: str
    title: str
    status: int
    status_name: str
    priority: int
    language: Literal["ko", "en"]
    messages: tuple[Mapping[str, Any], ...]
    """The description and the conversation in order: `author` (customer, agent, system), `private`, `text`, `at`."""
    placeholders: Mapping[str, str]
    """What each placeholder stands for; never shown to a model, never indexed."""
    content_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    feedback_id: UUID
    tenant_id: str
    user_id: str
    kind: FeedbackKind
    platform: str | None
    ticket_id: str | None
    run_id: UUID | None
    thread_id: UUID | None
    draft: str
    final: str | None
    """What was sent instead of the draft."""
    comment: str | None
    created_at: datetime
    metadata: Mapping[str, Any] = field(default_factory=dict)
