"""The Model Context Protocol on the wire (https://modelcontextprotocol.io/specification), as far as tools need it.

A tool and a result come as plain values: a name, a schema, a text. Which version a client speaks, it says when it
begins, and from 2025-06-18 on with each request.
"""

from typing import Any, Final

VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
NEWEST: Final = VERSIONS[-1]
WITHOUT_HEADER: Final = "2025-03-26"
"""What a client speaks that does not say so (specification 2025-06-18, Transports, Protocol Version Header)."""
_STRUCTURED: Final = "2025-06-18"
"""The first that has structured results, and none of the batches of before."""


def version_of(header: str | None) -> str:
    """Return the version that a request is in. Dates sort as texts."""
    return header or WITHOUT_HEADER


def has_batches(version: str) -> bool:
    """Whether a body may hold several messages."""
    return version < _STRUCTURED


def initialized(asked: Any, server_version: str) -> dict[str, Any]:
    """Return the answer to `initialize`."""
    return {
        "protocolVersion": asked if asked in VERSIONS else NEWEST,
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "daedap", "version": server_version},
    }


def tool_wire(name: str, title: str, description: str | None, input_schema: dict[str, Any]) -> dict[str, Any]:
    """Return a tool as clients list it."""
    return {
        "name": name,
        "title": title,
        "description": description or f"Ask the assistant {title}.",
        "inputSchema": {**input_schema, "type": "object"},
        "annotations": {
            "readOnlyHint": False,
            "destructiveHint": False,
            "idempotentHint": False,
            "openWorldHint": True,
        },
    }


def result_wire(text: str, data: dict[str, Any] | None, *, failed: bool, version: str) -> dict[str, Any]:
    """Return what a call leaves, in the version that the client speaks."""
    shown: dict[str, Any] = {"content": [{"type": "text", "text": text}], "isError": failed}
    if data is not None and version >= _STRUCTURED:
        shown["structuredContent"] = data
    return shown
