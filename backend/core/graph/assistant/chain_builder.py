"""The agent loop of `assistant`: LangChain's, with our tools, limits and middleware."""

from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langgraph.graph.state import CompiledStateGraph

from backend.core.graph.assistant.tool.search_knowledge import search_knowledge
from backend.core.graph.assistant.turn import Turn
from backend.core.graph.context import Context

MAX_MODEL_CALLS = 8
"""Of one turn: what a model that searches for ever may cost."""


class ChainBuilder:
    def agent(self, name: str) -> CompiledStateGraph[Any, Context, Any, Any]:
        """Return the loop: model, tools, model, until the model answers."""
        # `create_agent` wants a model when it builds; each run brings its own by `Turn`, and this one never speaks.
        middleware: list[Any] = [Turn(), ModelCallLimitMiddleware(run_limit=MAX_MODEL_CALLS, exit_behavior="end")]
        return create_agent(
            FakeListChatModel(responses=[""]),
            [search_knowledge],
            middleware=middleware,
            context_schema=Context,
            name=name,
        )
