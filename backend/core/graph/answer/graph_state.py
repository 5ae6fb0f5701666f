"""What the `answer` agent knows while it works. All of it is plain JSON but the messages, so that it can be kept."""

from typing import Annotated, Any, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages

Update = dict[str, Any]


class GraphState(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    """The conversation; the last user message is the question."""
    query: str
    """What is searched for: the question, made to stand alone."""
    documents: list[dict[str, Any]]
    """The passages found, best first; the first is source 1."""
    evidence: float
    """Confidence, 0..1, that they answer the question."""
    enough: bool
    """Whether that suffices to answer."""
    answer: str
    citations: list[dict[str, Any]]
    """The sources that the answer cites, in the order in which it does; `index` is the number in its text."""
    unsupported: list[str]
    """Sentences of the answer whose words the sources do not have."""
    refused: bool
