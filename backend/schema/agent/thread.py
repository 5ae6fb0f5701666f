"""Threads and their states on the wire of the Agent Server API."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from backend.dto.thread import (
    StorageSize,
    Thread,
    ThreadQuery,
    ThreadSort,
    ThreadState,
    ThreadStatus,
    TtlRule,
    TtlStrategy,
)
from backend.schema.chat import Storable

MAX_DEPTH = 100
"""How deep JSON that a caller sends may be nested."""
MAX_IDS = 1000
MAX_EXTRACTS = 10
MAX_MINUTES = 100 * 365 * 24 * 60
"""A hundred years."""


def _shallow(value: Any) -> Any:
    """Return JSON as it is; refuse what is nested too deep for every reader to follow."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise PydanticCustomError("too_deep", f"JSON may be nested {MAX_DEPTH} deep.")
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
        depth += 1
    return value


_Json = Annotated[Any, BeforeValidator(_shallow), Storable]
_Object = Annotated[dict[str, Any], BeforeValidator(_shallow), Storable]
_Limit = Annotated[int, Field(ge=1, le=1000)]
_Offset = Annotated[int, Field(ge=0, lt=2**31)]
_CheckpointId = Annotated[str, StringConstraints(min_length=1, max_length=255), Storable]
_Namespace = Annotated[str, StringConstraints(max_length=10_000), Storable]
_Node = Annotated[str, StringConstraints(max_length=1000), Storable]

ThreadField = Literal[
    "thread_id",
    "created_at",
    "updated_at",
    "state_updated_at",
    "metadata",
    "config",
    "context",
    "status",
    "values",
    "interrupts",
    "error",
]
_STATE_FIELDS = (
    "values",
    "next",
    "tasks",
    "checkpoint",
    "metadata",
    "created_at",
    "parent_checkpoint",
    "interrupts",
    "checkpoint_id",
    "parent_checkpoint_id",
)


def _state_field(value: str) -> str:
    if value not in _STATE_FIELDS and not value.startswith("values."):
        raise PydanticCustomError("select", f"select takes {', '.join(_STATE_FIELDS)}, and values.<key>.")
    return value


StateField = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_state_field)]
StateSelect = Annotated[list[StateField], Field(max_length=100)]


class Ttl(BaseModel):
    """How long a thread may rest, in minutes, and what happens then."""

    model_config = ConfigDict(extra="ignore")

    ttl: Annotated[float, Field(ge=0, le=MAX_MINUTES, allow_inf_nan=False)]
    strategy: TtlStrategy = "delete"

    def rule(self) -> TtlRule:
        return TtlRule(self.strategy, self.ttl)


def _minutes(value: Any) -> Any:
    return {"ttl": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


_Ttl = Annotated[Ttl, BeforeValidator(_minutes), Field(description="Bare minutes mean to delete it then.")]


class UpdateCommand(BaseModel):
    """What a superstep's update does to the graph, beside writing."""

    model_config = ConfigDict(extra="ignore")

    update: _Json = None
    resume: _Json = None
    goto: _Json = None


class Update(BaseModel):
    """What one node writes in a superstep."""

    model_config = ConfigDict(extra="ignore")

    values: _Json = None
    command: UpdateCommand | None = None
    as_node: _Node | None = None
    task_id: _CheckpointId | None = None


class Superstep(BaseModel):
    """What nodes write at once."""

    model_config = ConfigDict(extra="ignore")

    updates: Annotated[list[Update], Field(max_length=1000)]


class ThreadCreate(BaseModel):
    """A new thread; every field may be left out."""

    model_config = ConfigDict(extra="ignore")

    thread_id: UUID | None = None
    metadata: _Object | None = None
    if_exists: Literal["raise", "do_nothing"] | None = None
    ttl: _Ttl | None = None
    supersteps: Annotated[list[Superstep], Field(max_length=1000)] | None = Field(
        None, description="States to begin with; needs `metadata.graph_id`."
    )


class ThreadPatch(BaseModel):
    """What to change: metadata are merged."""

    model_config = ConfigDict(extra="ignore")

    metadata: _Object | None = None
    ttl: _Ttl | None = None


class ThreadCount(BaseModel):
    """Which threads are meant; all that is given must hold."""

    model_config = ConfigDict(extra="ignore")

    metadata: _Object | None = Field(None, description="What their metadata contain.")
    values: _Object | None = Field(None, description="What their values contain.")
    status: ThreadStatus | None = None

    def query(self, metadata: dict[str, Any]) -> ThreadQuery:
        """Return what is looked for; `metadata` may have been changed by an authorization handler."""
        return ThreadQuery(metadata=metadata or None, values=self.values or None, status=self.status)


def _path(value: str) -> str:
    if parse_path(value) is None:
        raise PydanticCustomError(
            "extract",
            "An extract path names config, interrupts, metadata or values, then keys after dots and [positions].",
        )
    return value


_Alias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=255)]
_Path = Annotated[str, StringConstraints(max_length=1000), Storable, AfterValidator(_path)]


class ThreadSearch(ThreadCount):
    """Which threads are meant, and which of them to return in what order."""

    ids: Annotated[list[UUID], Field(max_length=MAX_IDS)] | None = None
    limit: _Limit = 10
    offset: _Offset = 0
    sort_by: ThreadSort | None = None
    sort_order: Literal["asc", "desc"] | None = None
    select: list[ThreadField] | None = None
    extract: Annotated[dict[_Alias, _Path], Field(max_length=MAX_EXTRACTS)] | None = Field(
        None, description='Paths by alias, as `{"last": "values.messages[-1].content"}`.'
    )

    def query(self, metadata: dict[str, Any]) -> ThreadQuery:
        return ThreadQuery(
            ids=None if self.ids is None else tuple(self.ids),
            metadata=metadata or None,
            values=self.values or None,
            status=self.status,
            sort_by=self.sort_by or "updated_at",
            descending=self.sort_order != "asc",
        )

    @property
    def needs_state(self) -> bool:
        """Whether what the last runs left is asked for."""
        if not self.select or {"values", "interrupts", "error"} & set(self.select):
            return True
        return any(path.startswith(("values", "interrupts")) for path in (self.extract or {}).values())


class ThreadPrune(BaseModel):
    """Threads to remove, or to keep with their newest state alone."""

    model_config = ConfigDict(extra="ignore")

    thread_ids: Annotated[list[UUID], Field(max_length=MAX_IDS)]
    strategy: TtlStrategy = "delete"


class Checkpoint(BaseModel):
    """A state of a thread, or of a subgraph."""

    model_config = ConfigDict(extra="ignore")

    checkpoint_id: _CheckpointId | None = None
    checkpoint_ns: _Namespace | None = None
    checkpoint_map: Annotated[dict[_Namespace, _CheckpointId], Field(max_length=100)] | None = None

    def place(self, checkpoint_id: str | None = None) -> dict[str, Any]:
        """Return what is given, with another way of giving the id."""
        place = self.model_dump(exclude_none=True)
        if checkpoint_id is not None:
            place.setdefault("checkpoint_id", checkpoint_id)
        return place


class StateAt(BaseModel):
    """Which state to return."""

    model_config = ConfigDict(extra="ignore")

    checkpoint: Checkpoint
    subgraphs: bool | None = None
    select: StateSelect | None = None


class StateUpdate(BaseModel):
    """A state to save, as if a node had written it."""

    model_config = ConfigDict(extra="ignore")

    values: Annotated[dict[str, Any] | list[Any] | None, BeforeValidator(_shallow), Storable] = None
    as_node: _Node | None = None
    checkpoint: Checkpoint | None = None
    checkpoint_id: _CheckpointId | None = None

    def place(self) -> dict[str, Any]:
        return (self.checkpoint or Checkpoint()).place(self.checkpoint_id)


def _before(value: Any) -> Any:
    """Return the id of a checkpoint from any of the forms in which it is given."""
    if isinstance(value, Mapping):
        value = value.get("configurable", value)
        if isinstance(value, Mapping):
            value = value.get("checkpoint_id")
    return value


Before = Annotated[_CheckpointId | None, BeforeValidator(_before)]


class History(BaseModel):
    """Which states to return, newest first."""

    model_config = ConfigDict(extra="ignore")

    limit: _Limit = 1
    before: Before = Field(
        None, description="A checkpoint: its id, itself, or the `configurable` that names it; only older ones follow."
    )
    metadata: _Object | None = None
    checkpoint: Checkpoint | None = Field(None, description="A subgraph, by its `checkpoint_ns`.")
    select: StateSelect | None = None

    @classmethod
    def of_query(cls, limit: int, before: str | None) -> Self:
        """Return what a query string says; `before` is an id, or JSON of the other forms."""
        given: Any = before
        if before is not None and before.startswith("{"):
            try:
                given = orjson.loads(before)
            except orjson.JSONDecodeError:
                given = before
        return cls(limit=limit, before=given)


def thread_wire(thread: Thread, state: ThreadState, *, ttl: bool = False) -> dict[str, Any]:
    """Return a `Thread`; `ttl` shows when it expires."""
    wire: dict[str, Any] = {
        "thread_id": thread.thread_id,
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
        "state_updated_at": thread.state_updated_at or thread.created_at,
        "metadata": thread.metadata,
        "status": thread.status,
        "config": thread.config,
        "values": state.values,
        "interrupts": state.interrupts,
        "error": state.error,
    }
    if ttl and thread.ttl is not None:
        wire["ttl"] = {
            "strategy": thread.ttl.strategy,
            "ttl_minutes": thread.ttl.minutes,
            "expires_at": thread.ttl.expires_at,
        }
    return wire


def found_wire(thread: Thread, state: ThreadState, search: ThreadSearch) -> dict[str, Any]:
    """Return a `Thread` with the fields that a search asked for."""
    whole = thread_wire(thread, state)
    fields: Sequence[str] = search.select or list(whole)
    wire = {name: whole[name] for name in fields if name in whole}
    if search.extract:
        roots = {name: whole[name] for name in ("config", "interrupts", "metadata", "values")}
        if isinstance(roots["values"], orjson.Fragment):
            needed = any(path.startswith("values") for path in search.extract.values())
            roots["values"] = orjson.loads(orjson.dumps(roots["values"])) if needed else None
        wire["extracted"] = {alias: _at(roots, path) for alias, path in search.extract.items()}
    return wire


def selected_state(wire: dict[str, Any], select: Sequence[str] | None) -> dict[str, Any]:
    """Return the fields of a `ThreadState` that were asked for; `values.<key>` is one of the values alone."""
    if not select:
        return wire
    found = {name: wire[name] for name in _STATE_FIELDS if name in select}
    keys = [name.removeprefix("values.") for name in select if name.startswith("values.")]
    if keys and "values" not in found:
        values = wire["values"] if isinstance(wire["values"], dict) else {}
        found["values"] = {key: values[key] for key in keys if key in values}
    return found


def storage_wire(thread_id: UUID, size: StorageSize) -> dict[str, Any]:
    """Return what a thread's checkpoints take, in bytes."""
    values = sum(channel.bytes for channel in size.channels.values())
    return {
        "thread_id": thread_id,
        "total_bytes": size.checkpoint_bytes + values + size.write_bytes,
        "checkpoints": {"count": size.checkpoints, "bytes": size.checkpoint_bytes},
        "channel_values": {
            "count": sum(channel.versions for channel in size.channels.values()),
            "bytes": values,
            "by_channel": size.channels,
        },
        "pending_writes": {"count": size.writes, "bytes": size.write_bytes},
    }


_SEGMENT = re.compile(r"([^.\[\]]+)((?:\[-?\d{1,9}\])*)")
_ROOTS = {"config", "interrupts", "metadata", "values"}


def parse_path(path: str) -> list[str | int] | None:
    """Return the keys and positions of an extract path; None when it is none."""
    steps: list[str | int] = []
    for segment in path.split("."):
        match = _SEGMENT.fullmatch(segment)
        if match is None:
            return None
        steps.append(match[1])
        steps += [int(position) for position in re.findall(r"-?\d+", match[2])]
    return steps if steps[0] in _ROOTS else None


def _at(document: Any, path: str) -> Any:
    """Return what is at a path; None when nothing is."""
    for step in parse_path(path) or ():
        if isinstance(step, int):
            inside = isinstance(document, list) and -len(document) <= step < len(document)
            document = document[step] if inside else None
        else:
            document = document.get(step) if isinstance(document, dict) else None
    return document
