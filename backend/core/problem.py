"""Problem documents (RFC 9457): the one form in which a failure leaves the server, over HTTP, streams and sockets."""

from collections.abc import Mapping
from typing import Any

from backend.core.error import DomainError

_RESERVED = frozenset({"type", "title", "status", "detail", "instance", "request_id"})
_NAMED = ("/api/chat", "/rag/")
"""Paths whose older clients look for the title in the member `error`."""


def document(
    slug: str,
    title: str,
    status: int,
    detail: str,
    *,
    instance: str | None = None,
    request_id: str | None = None,
    members: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a problem document; `slug` is the machine-readable code, the last part of `type`."""
    made: dict[str, Any] = {"type": f"/problems/{slug}", "title": title, "status": status, "detail": detail}
    if instance is not None:
        made["instance"] = instance
        if instance.startswith(_NAMED):
            made["error"] = title
    if request_id is not None:
        made["request_id"] = request_id
    if members:
        made.update((name, value) for name, value in members.items() if name not in _RESERVED)
    return made


def problem(error: BaseException, instance: str | None = None, request_id: str | None = None) -> dict[str, Any]:
    """Return the problem document of a failure.

    What is not a `DomainError` is a bug, of which the document says nothing but "Internal Server Error".
    `instance` is the path that was asked for.
    """
    if isinstance(error, DomainError):
        return document(
            error.slug,
            error.title,
            error.status,
            error.detail,
            instance=instance,
            request_id=request_id,
            members=error.members,
        )
    return document(
        "internal-server-error",
        "Internal Server Error",
        500,
        "Internal Server Error",
        instance=instance,
        request_id=request_id,
    )
