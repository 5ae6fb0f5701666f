"""The built-in model: answers with sentences of the given passages. Needs no endpoint and no key."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

from backend.core.graph.passage_prompt import PromptPassage, parse
from backend.core.model.extract import Extract, choose, without_references
from backend.util.language import Language, language
from backend.util.token_count import estimate_tokens

MODEL_NAME = "extractive"
NAME_CHARS = 60
"""Most of a document's title that stands before its sentence."""
INLINE_CHARS = 50_000
"""A longer prompt is read in a thread."""

_NOTE: dict[Language, str] = {
    "ko": "언어 모델이 설정되어 있지 않아, 자료의 문장을 그대로 옮긴 답변입니다.",
    "en": "No language model is configured: these are sentences taken from the sources as they stand.",
}
_FAR: dict[Language, str] = {
    "ko": "질문에 쓰인 낱말이 들어 있는 문장은 없습니다. 가장 가까운 내용은 다음과 같습니다.",
    "en": "No sentence shares a word with the question. The closest source says:",
}
_EMPTY: dict[Language, str] = {
    "ko": (
        "언어 모델이 설정되어 있지 않습니다. 지금은 찾은 자료에서 질문에 맞는 문장을 골라"
        " 출처와 함께 보여 드릴 수 있지만, 자료 없이 대화하거나 글을 쓰거나 요약하지는 못합니다."
        " OPENAI_API_KEY 또는 OPENAI_BASE_URL을 설정하면 언어 모델이 답합니다."
    ),
    "en": (
        "No language model is configured. I can pick the sentences of your documents that answer a question and name"
        " their sources; I cannot converse, write or summarize without one."
        " Set OPENAI_API_KEY or OPENAI_BASE_URL to have a language model answer."
    ),
}
_PIECE = re.compile(r"\s*\S+")


class ExtractiveChatModel(BaseChatModel):
    """Answers from the passages of the last human message (`passage_prompt.render` writes it), word by word.

    The sentences stay in the passages' language, what frames them is in the question's, and the last line says that no
    language model is configured. A question without passages (to be rephrased, say) is given back as it is. Tools may
    be bound and are never called.
    """

    @property
    def _llm_type(self) -> str:
        return MODEL_NAME

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return False

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model itself, so that an agent with tools runs; it answers at once instead of calling one."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = compose(messages)
        message = AIMessage(
            content=answer, usage_metadata=_usage(messages, answer), response_metadata={"finish_reason": "stop"}
        )
        return ChatResult(generations=[ChatGeneration(message=message)], llm_output={"model_name": MODEL_NAME})

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in _chunks(messages, compose(messages)):
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if sum(len(message.text) for message in messages) > INLINE_CHARS:
            answer = await asyncio.to_thread(compose, messages)
        else:
            answer = compose(messages)
        for chunk in _chunks(messages, answer):
            if run_manager:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk
            await asyncio.sleep(0)  # others run, and the reader has this word before the next one


def compose(messages: Sequence[BaseMessage]) -> str:
    """Return the answer to the last human message of `messages`."""
    last = next((message.text for message in reversed(messages) if isinstance(message, HumanMessage)), "")
    parsed = parse(last)
    if parsed is None:
        return _EMPTY[language(last)]
    question, passages = parsed
    if not passages:
        return question
    return _answer(question, passages)


def sentences_of(answer: str, passages: Sequence[PromptPassage]) -> str:
    """Return an answer without what it says of itself and of its sources, for who takes its sentences elsewhere."""
    for notice in (*_NOTE.values(), *_FAR.values()):
        answer = answer.replace(notice, "")
    for passage in passages:
        answer = answer.replace(f"- {_name(passage)}: ", "- ")
    return answer.strip()


def _answer(question: str, passages: Sequence[PromptPassage]) -> str:
    tongue = language(question)
    extracts = choose(question, passages)
    if not extracts:
        return _EMPTY[tongue]
    if len(extracts) == 1:
        body = _cited(extracts[0])
    else:
        titles = {passage.index: _name(passage) for passage in passages}
        # One document is named by its source number; of several, each line says what it is about.
        several = len({titles[extract.index] for extract in extracts}) > 1
        body = "\n".join(_line(extract, titles[extract.index] if several else "") for extract in extracts)
    if extracts[0].score <= 0:
        body = f"{_FAR[tongue]}\n\n{body}"
    return f"{body}\n\n{_NOTE[tongue]}"


def _line(extract: Extract, name: str) -> str:
    return f"- {name}: {_cited(extract)}" if name else f"- {_cited(extract)}"


def _name(passage: PromptPassage) -> str:
    """Return the document's title, without the headings, short enough to stand before a sentence."""
    title = without_references(passage.title.partition(" > ")[0])
    return title if len(title) <= NAME_CHARS else f"{title[:NAME_CHARS].rstrip()}…"


def _cited(extract: Extract) -> str:
    return f"{extract.text} [{extract.index}]"


def _chunks(messages: Sequence[BaseMessage], answer: str) -> Iterator[ChatGenerationChunk]:
    for piece in _PIECE.findall(answer):
        yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
    yield ChatGenerationChunk(
        message=AIMessageChunk(content="", usage_metadata=_usage(messages, answer), chunk_position="last"),
        generation_info={"finish_reason": "stop", "model_name": MODEL_NAME},
    )


def _usage(messages: Sequence[BaseMessage], answer: str) -> UsageMetadata:
    """Return an estimate; it costs nothing in any case."""
    asked = sum(estimate_tokens(message.text) for message in messages)
    said = estimate_tokens(answer)
    return UsageMetadata(input_tokens=asked, output_tokens=said, total_tokens=asked + said)
