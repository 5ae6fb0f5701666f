"""What the `assistant` agent knows while it works."""

from typing import Annotated, Any, NotRequired

from langchain.agents import AgentState


def gather(found: list[dict[str, Any]], more: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add passages, also of searches that ran at once; an empty list begins anew."""
    return [*found, *more] if more else []


class GraphState(AgentState[Any]):
    documents: NotRequired[Annotated[list[dict[str, Any]], gather]]
    """The passages of this turn's searches; `index` is the number by which the answer cites one."""
    answer: NotRequired[str]
    citations: NotRequired[list[dict[str, Any]]]
    unsupported: NotRequired[list[str]]
    refused: NotRequired[bool]
