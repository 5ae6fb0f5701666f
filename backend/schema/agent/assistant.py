"""Assistants on the wire of the Agent Server API."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StringConstraints
from pydantic_core import PydanticCustomError

from backend.dto.assistant import Assistant, AssistantQuery, AssistantSort, AssistantVersion, SortOrder
from backend.schema.agent.json_object import JsonObject
from backend.schema.chat import Storable

MAX_RECURSION = 100_000

GraphId = Annotated[str, StringConstraints(min_length=1, max_length=255), Storable]
AssistantName = Annotated[str, StringConstraints(max_length=1000), Storable]
Description = Annotated[str, StringConstraints(max_length=10_000), Storable]
Limit = Annotated[int, Field(ge=1, le=1000)]
Offset = Annotated[int, Field(ge=0, lt=2**31)]
AssistantField = Literal[
    "assistant_id",
    "graph_id",
    "config",
    "context",
    "metadata",
    "name",
    "description",
    "version",
    "created_at",
    "updated_at",
]


def _config(value: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without what is null; refuse what a run could not use. Other keys are kept as they are."""
    config = {key: item for key, item in value.items() if item is not None}
    if not isinstance(config.get("configurable", {}), dict):
        raise PydanticCustomError("configurable", "configurable is an object.")
    tags = config.get("tags", [])
    if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        raise PydanticCustomError("tags", "tags is a list of texts.")
    limit = config.get("recursion_limit", 1)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_RECURSION:
        raise PydanticCustomError("recursion_limit", f"recursion_limit is a number from 1 to {MAX_RECURSION}.")
    return config


Config = Annotated[JsonObject, AfterValidator(_config), Field(description="`tags`, `recursion_limit`, `configurable`.")]


class AssistantCreate(BaseModel):
    """A graph, and the configuration to save with it."""

    model_config = ConfigDict(extra="ignore")

    graph_id: GraphId
    assistant_id: UUID | None = None
    config: Config | None = None
    context: JsonObject | None = None
    metadata: JsonObject | None = None
    name: AssistantName | None = None
    description: Description | None = None
    if_exists: Literal["raise", "do_nothing"] = "raise"


class AssistantPatch(BaseModel):
    """What to change: metadata are merged, everything else replaces what was."""

    model_config = ConfigDict(extra="ignore")

    graph_id: GraphId | None = None
    config: Config | None = None
    context: JsonObject | None = None
    metadata: JsonObject | None = None
    name: AssistantName | None = None
    description: Description | None = None


class AssistantFilter(BaseModel):
    """Which assistants are meant; all that is given must hold."""

    model_config = ConfigDict(extra="ignore")

    metadata: JsonObject | None = Field(None, description="Contained in the assistant's, nested objects too.")
    graph_id: GraphId | None = None
    name: AssistantName | None = Field(None, description="A part of the name, in upper or lower case.")

    def query(self, metadata: dict[str, Any] | None) -> AssistantQuery:
        """Return what to look for; `metadata` as the rules of the project left them."""
        return AssistantQuery(metadata=metadata, graph_id=self.graph_id, name=self.name)


class AssistantSearch(AssistantFilter):
    """Which assistants are meant, and how to list them."""

    limit: Limit = 10
    offset: Offset = 0
    sort_by: AssistantSort | None = None
    sort_order: SortOrder | None = None
    select: list[AssistantField] | None = Field(None, description="Only these fields.")


class VersionSearch(BaseModel):
    """Which versions to list."""

    model_config = ConfigDict(extra="ignore")

    metadata: JsonObject | None = None
    limit: Limit = 10
    offset: Offset = 0


class VersionChoice(BaseModel):
    """The version to take up again."""

    model_config = ConfigDict(extra="ignore")

    version: Annotated[StrictInt, Field(ge=0, lt=2**31)]


def assistant_wire(assistant: Assistant) -> dict[str, Any]:
    """Return an assistant as clients read it."""
    return {
        "assistant_id": assistant.assistant_id,
        "graph_id": assistant.graph_id,
        "config": assistant.config,
        "context": assistant.context,
        "metadata": assistant.metadata,
        "name": assistant.name,
        "created_at": assistant.created_at,
        "updated_at": assistant.updated_at,
        "version": assistant.version,
        "description": assistant.description,
    }


def version_wire(version: AssistantVersion) -> dict[str, Any]:
    """Return a version of an assistant as clients read it."""
    return {
        "assistant_id": version.assistant_id,
        "version": version.version,
        "graph_id": version.graph_id,
        "config": version.config,
        "context": version.context,
        "metadata": version.metadata,
        "created_at": version.created_at,
        "name": version.name,
        "description": version.description,
    }
