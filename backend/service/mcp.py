"""Assistants as tools of the Model Context Protocol.

A tool is called by its name alone, and assistants may share theirs; see `_named` for how each gets one of its own. A
call is a run that leaves nothing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from backend.core.error import DomainError
from backend.core.rpc import INVALID_PARAMS, RpcError
from backend.dto.assistant import Assistant, AssistantQuery
from backend.dto.principal import Principal
from backend.dto.run import RunRequest
from backend.service.assistant import AssistantService
from backend.service.run import RunService
from backend.util.containment import Filters
from backend.util.graph_input import (
    CONVERSATION,
    closed,
    final_answer,
    is_object,
    spoken_messages,
    takes_conversation,
)
from backend.util.id_generator import default_assistant_id

PAGE = 100
MAX_TOOLS = 1000
"""Assistants of a tenant that are tools: the oldest, so that a new one takes nobody's name or place."""
LONGEST_NAME = 64
"""Characters of a tool's name that models' providers take; the letters are those that all of them take."""
LONGEST_ID = 32
"""Digits of an assistant's id."""
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_WHOLE = "input"
"""The argument that is a graph's whole input, where that is no object."""


@dataclass(frozen=True, slots=True)
class Tool:
    """An assistant that can be called."""

    name: str
    assistant: Assistant


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool with what it takes."""

    tool: Tool
    input_schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call leaves."""

    text: str
    data: dict[str, Any] | None = None
    """The output, where it is an object."""
    failed: bool = False


class McpService:
    def __init__(self, assistants: AssistantService, runs: RunService) -> None:
        self._assistants = assistants
        self._runs = runs

    async def tools(
        self, principal: Principal, *, offset: int = 0, only: Filters = None
    ) -> tuple[list[ListedTool], int | None]:
        """Return a page of tools, and where the next one begins."""
        found = await self._all(principal, only)
        page = found[offset : offset + PAGE]
        listed = [ListedTool(tool, await self._schema(principal, tool.assistant)) for tool in page]
        return listed, offset + PAGE if len(found) > offset + PAGE else None

    async def find(self, principal: Principal, name: str, *, only: Filters = None) -> Tool:
        """Return the tool of this name.

        Raises:
            RpcError: there is none that the caller may use.
        """
        for tool in await self._all(principal, only):
            if tool.name == name:
                return tool
        raise RpcError(INVALID_PARAMS, f"Unknown tool: {name[:100]}")

    async def input(self, principal: Principal, tool: Tool, arguments: dict[str, Any]) -> Any:
        """Return the input of the graph that the arguments of a call mean."""
        schema = await self._input_schema(principal, tool.assistant)
        if not is_object(schema):
            return arguments.get(_WHOLE)
        said = arguments.get("messages")
        if isinstance(said, str) and takes_conversation(schema):
            return {**arguments, "messages": spoken_messages(said)}
        return arguments

    async def call(self, principal: Principal, request: RunRequest) -> ToolResult:
        """Execute a run that leaves nothing, and return its result; it stops when the caller is cancelled."""
        try:
            run = await self._runs.passing(principal, request)
        except DomainError as error:
            return ToolResult(error.detail, failed=True)
        body = await self._runs.body_of(run)
        return _result(orjson.loads(body), body)

    async def _all(self, principal: Principal, only: Filters) -> list[Tool]:
        found, _ = await self._assistants.search(
            principal, AssistantQuery(), limit=MAX_TOOLS, sort_by="created_at", sort_order="asc", only=only
        )
        return list(_named(found))

    async def _schema(self, principal: Principal, assistant: Assistant) -> dict[str, Any]:
        """Return what a tool takes: always an object, with a text in place of a conversation."""
        schema = await self._input_schema(principal, assistant)
        if not is_object(schema):
            whole = {key: value for key, value in schema.items() if key != "$defs"}
            shown = {"type": "object", "properties": {_WHOLE: whole}, "required": [_WHOLE]}
            return shown | ({"$defs": schema["$defs"]} if "$defs" in schema else {})
        if not takes_conversation(schema):
            return schema
        said = {"type": "string", "title": "Messages", "description": "What to say to the assistant."}
        required = [*(name for name in schema.get("required", ()) if name != CONVERSATION), CONVERSATION]
        return closed({**schema, "properties": {**schema["properties"], CONVERSATION: said}, "required": required})

    async def _input_schema(self, principal: Principal, assistant: Assistant) -> dict[str, Any]:
        try:
            schemas = await self._assistants.schemas(principal, assistant.assistant_id)
        except DomainError:  # a graph that cannot be loaded must not hide the others; a call says why
            return {"type": "object"}
        return schemas["input_schema"] or {"type": "object"}


def _named(assistants: Sequence[Assistant]) -> Iterable[Tool]:
    """Give each assistant a name that no other has: a graph's default the graph's, the others their own.

    Where a name is taken already (the defaults come first, then the older ones), a part of the id follows it. So the
    name of a tool stays when assistants are added.
    """
    taken: set[str] = set()
    names: dict[UUID, str] = {}
    defaults = [one for one in assistants if one.assistant_id == default_assistant_id(one.graph_id)]
    others = [one for one in assistants if one.assistant_id != default_assistant_id(one.graph_id)]
    for assistant, wanted in [*((one, one.graph_id) for one in defaults), *((one, one.name) for one in others)]:
        base = _slug(wanted) or _slug(assistant.graph_id) or "assistant"
        name, length = base, 8
        while name in taken and length <= LONGEST_ID:
            name, length = f"{base[: LONGEST_NAME - length - 1]}_{assistant.assistant_id.hex[:length]}", length + 8
        if name not in taken:  # who names one assistant by the id of another has one tool less
            taken.add(name)
            names[assistant.assistant_id] = name
    return (Tool(names[one.assistant_id], one) for one in assistants if one.assistant_id in names)


def _slug(name: str) -> str:
    return _NOT_IN_NAME.sub("_", name).strip("_")[:LONGEST_NAME]


def _result(output: Any, body: bytes) -> ToolResult:
    if isinstance(output, Mapping) and "__error__" in output:
        error = output["__error__"]
        return ToolResult(": ".join(filter(None, (error["error"], error["message"]))), failed=True)
    data = dict(output) if isinstance(output, Mapping) else None
    if data is not None and "__interrupt__" not in data and (answer := final_answer(data)):
        return ToolResult(answer, data)
    return ToolResult(output if isinstance(output, str) else body.decode(), data)
