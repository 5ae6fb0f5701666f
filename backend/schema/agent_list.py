"""An agent on the wire."""

from pydantic import BaseModel, Field


class AgentRead(BaseModel):
    """A graph that can be asked."""

    name: str
    title: str
    description: str


class AgentList(BaseModel):
    """The agents, and the models that they may be given."""

    items: list[AgentRead]
    models: list[str] = Field(description="Aliases for the field `model`; the first is the default.")
    has_llm: bool = Field(description="False: no language model is configured, and answers are extracts.")
