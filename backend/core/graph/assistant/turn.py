"""What happens around the model in a turn of `assistant`."""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any, cast
from uuid import uuid4

from langchain.agents.middleware import AgentMiddleware, hook_config
from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage
from langgraph.runtime import Runtime

from backend.core.graph.assistant.graph_state import GraphState
from backend.core.graph.assistant.prompt_manager import NO_MODEL, PromptManager
from backend.core.graph.citation import check, without_foreign_links
from backend.core.graph.context import Context
from backend.core.graph.conversation import citation, history_of, question_of
from backend.util.language import Language, language


class Turn(AgentMiddleware[GraphState, Context]):
    """Forgets the turn before, hands over the run's model and prompt, and checks the sources of the answer."""

    state_schema = GraphState

    @hook_config(can_jump_to=["end"])
    async def abefore_agent(self, state: GraphState, runtime: Runtime[Context]) -> dict[str, Any]:
        question = question_of(state["messages"])
        fresh: dict[str, Any] = {"documents": [], "answer": "", "citations": [], "unsupported": [], "refused": False}
        if runtime.context.has_llm:
            return fresh
        text = NO_MODEL[language(question.text)]
        return {**fresh, "messages": [AIMessage(text, id=str(uuid4()))], "answer": text, "jump_to": "end"}

    async def awrap_model_call(
        self,
        request: ModelRequest[Context],
        handler: Callable[[ModelRequest[Context]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        question = question_of(request.messages)
        return await handler(
            request.override(
                model=request.runtime.context.writer,
                system_message=system_message(language(question.text)),
                messages=cast("list[AnyMessage]", history_of(request.messages)) + _this_turn(request.messages),
            )
        )

    async def aafter_agent(self, state: GraphState, runtime: Runtime[Context]) -> dict[str, Any] | None:
        written = state["messages"][-1]
        if not isinstance(written, AIMessage) or not runtime.context.has_llm:
            return None
        documents = {document["index"]: document for document in state.get("documents", [])}
        passages = {index: str(document["text"]) for index, document in documents.items()}
        addresses = [str(document["url"]) for document in documents.values() if document.get("url")]
        verdict = check(without_foreign_links(written.text, [*passages.values(), *addresses]), passages)
        citations = [citation(index, documents[index]) for index in verdict.cited]
        notes = {"citations": citations, "unsupported": verdict.unsupported if documents else []}
        message = written.model_copy(
            update={"content": verdict.text, "additional_kwargs": {**written.additional_kwargs, **notes}}
        )
        return {"messages": [message], "answer": verdict.text, **notes}


def _this_turn(messages: list[AnyMessage]) -> list[AnyMessage]:
    """Return the question and what followed it: calls of tools and their results belong together, and only here."""
    start = max(place for place, message in enumerate(messages) if isinstance(message, HumanMessage))
    return messages[start:]


@cache
def system_message(language: Language) -> SystemMessage:
    """Return what the model is told before the conversation."""
    prompt = PromptManager().get("system", language)
    return SystemMessage(prompt.template.invoke({"message": ""}).to_messages()[0].content)
