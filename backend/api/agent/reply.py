"""Answers of the Agent Server API: JSON, serialized once."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from backend.core.run.wire import dumps


def reply(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return `data` as JSON."""
    return Response(dumps(data), status, headers=headers, media_type="application/json")


def done() -> Response:
    """Return 204: it is done, and there is nothing to say."""
    return Response(status_code=204)


def page(items: Sequence[Any], *, limit: int, offset: int, more: bool) -> Response:
    """Return a page of a list, and in its headers where the next one begins.

    `X-Pagination-Total` is the true total on the last page and one more than the next offset before it, so that no
    page needs a count.
    """
    after = offset + limit
    headers = {"X-Pagination-Total": str(after + 1 if more else offset + len(items))}
    if more:
        headers["X-Pagination-Next"] = str(after)
    return reply(items, headers=headers)


def selected(item: Mapping[str, Any], select: Sequence[str] | None) -> Mapping[str, Any]:
    """Return the fields of `item` that were asked for; all of them without `select`."""
    return item if select is None else {name: item[name] for name in select if name in item}
