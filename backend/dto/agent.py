"""An agent, as people see it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AgentInfo:
    name: str
    """By which runs ask for it."""
    title: str
    description: str
    built_in: bool = True
    """False for a graph of `langgraph.json`."""
    takes_context: bool = True
    """Whether its nodes get our `Context` by `runtime.context`; other graphs may want their own, or none."""
    scope: str | None = None
    """Of `SCOPES`: what its caller must be allowed beside talking to agents."""
    answers_ask_no_model: bool = False
    """Whether it asks no model any more once its interrupt is answered."""
