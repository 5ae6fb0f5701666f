"""JSON-RPC over HTTP, as MCP and A2A use it."""

from dataclasses import dataclass
from typing import Any

import orjson

from backend.core.error import DomainError, Invalid, NotFound
from backend.core.rpc import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, RpcError

RpcId = str | int | float | None
LONGEST_NAME = 100
"""Characters of what a caller sent that are told back in a refusal."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request; without an id it is a notification, which is not answered."""

    id: RpcId
    method: str
    params: dict[str, Any]


def read(raw: bytes) -> Any:
    """Return the JSON of a body.

    Raises:
        RpcError: it is none.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise RpcError(PARSE_ERROR, "Parse error: the body is not JSON.") from None


def id_of(message: Any) -> RpcId:
    """Return the id of a message that may be malformed; None when it has none that can be told back."""
    found = message.get("id") if isinstance(message, dict) else None
    return found if isinstance(found, str | int | float) and not isinstance(found, bool) else None


def call_of(message: Any) -> Call:
    """Return the request that a message makes.

    Raises:
        RpcError: it makes none.
    """
    if not isinstance(message, dict):
        raise RpcError(INVALID_REQUEST, "Invalid request: a message is an object.")
    if message.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'Invalid request: "jsonrpc" is not "2.0".')
    method = message.get("method")
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "Invalid request: the method is not a text.")
    params = message.get("params")
    if params is not None and not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "Invalid params: they are not an object.")
    return Call(id_of(message), method, params or {})


def success(call_id: RpcId, result: Any) -> dict[str, Any]:
    """Return the answer to a request that was honoured."""
    return {"jsonrpc": "2.0", "id": call_id, "result": result}


def failure(call_id: RpcId, error: RpcError | DomainError) -> dict[str, Any]:
    """Return the answer to a request that was refused."""
    if isinstance(error, DomainError):
        error = refusal(error)
    return {"jsonrpc": "2.0", "id": call_id, "error": {"code": error.code, "message": error.message}}


def refusal(error: DomainError) -> RpcError:
    """Return an error of ours in JSON-RPC's terms."""
    wrong = isinstance(error, NotFound | Invalid) or error.status in {400, 409}
    return RpcError(INVALID_PARAMS if wrong else INTERNAL_ERROR, error.detail)


def accepts(header: str | None, *wanted: str) -> bool:
    """Return whether an `Accept` header takes one of the media types; without one, anything will do."""
    if header is None:
        return True
    for part in header.lower().split(","):
        name = part.partition(";")[0].strip()
        if name == "*/*" or name in wanted or any(name == f"{one.partition('/')[0]}/*" for one in wanted):
            return True
    return False
