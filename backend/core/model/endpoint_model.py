"""A chat model behind an OpenAI-compatible endpoint: retries, fallbacks, timeouts and errors, each in this one place.

Importing this module imports the OpenAI SDK (seconds): `LLMManager` does so in a thread, and only when a model is
configured.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.language_models.chat_models import agenerate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from loguru import logger
from pydantic import Field, SkipValidation

from backend.core.model.failure import ENDPOINT_ERRORS, Failure, cut_off, exhausted, failure_of
from backend.core.model.parameter_rule import ParameterRule
from backend.core.model.usage_meter import ANSWERED_BY


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how soon, a call is made again. All times in seconds."""

    retries: int = 2
    first_wait: float = 0.5
    longest_wait: float = 8.0
    longest_obeyed: float = 20.0
    """An endpoint that asks for a longer wait than this is not asked again: the caller is told when to come back."""

    def wait(self, failure: Failure, tries: int) -> float | None:
        """Return how long to wait before the next try, `tries` having failed; None when there is none."""
        if not failure.retryable or tries > self.retries:
            return None
        if failure.retry_after is not None:
            return failure.retry_after if failure.retry_after <= self.longest_obeyed else None
        longest: float = min(self.first_wait * 2 ** (tries - 1), self.longest_wait)
        return longest * random.uniform(0.5, 1.0)  # spreads the tries of many callers, guards nothing


class _CallFailed(Exception):
    """One call failed; inside this module only."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.kind)
        self.failure = failure


class EndpointModel(ChatOpenAI):
    """`ChatOpenAI` as this server wants it; nodes use it like any chat model of LangChain.

    - A call that fails before its first token is made again (`RetryPolicy`), then made to the fallbacks in turn. After
      the first token nothing is tried again: the reader has seen the beginning.
    - Every call streams, so that `timeout` is the longest silence and never the longest answer, and cancelling closes
      the connection.
    - What fails in the end is a `DomainError` without a word of the endpoint's.
    """

    alias: str
    """The name by which callers know the model."""
    rule: SkipValidation[ParameterRule] = Field(exclude=True)
    policy: SkipValidation[RetryPolicy] = Field(default=RetryPolicy(), exclude=True)
    fallbacks: SkipValidation[tuple[BaseChatModel, ...]] = Field(default=(), exclude=True)
    """Tried in turn; have none of their own."""
    loop: SkipValidation[asyncio.AbstractEventLoop | None] = Field(default=None, exclude=True)
    """Where synchronous nodes, which run in threads, have their calls made."""

    def sampled(self, sampling: Mapping[str, Any]) -> Self:
        """Return this model with a caller's `temperature`, `max_tokens` and so on (`RunRequest.sampling`).

        The limit of the server's own setting stays: a caller can only ask for less.
        """
        changed = {**sampling, "fallbacks": tuple(_sampled(model, sampling) for model in self.fallbacks)}
        if self.max_tokens is not None and "max_tokens" in changed:
            changed["max_tokens"] = min(self.max_tokens, changed["max_tokens"])
        return self.model_copy(update=changed)

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return False: a trace names the model and holds nothing of how it is reached."""
        return False

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        return self.rule.apply(super()._get_request_payload(input_, stop=stop, **kwargs))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        first: _CallFailed | None = None
        for model in (self, *self.fallbacks):
            begun = False
            stream = (
                model._tries(messages, stop, **kwargs)
                if isinstance(model, EndpointModel)
                else model._astream(messages, stop, **kwargs)
            )
            try:
                async with aclosing(stream) as chunks:  # type: ignore[type-var]  # both are async generators
                    async for chunk in chunks:
                        begun = True
                        if run_manager:
                            await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                        yield chunk
            except _CallFailed as failed:
                if begun:
                    raise failed.failure.error from None
                first = first or failed
            else:
                return
        assert first is not None  # the loop ends by itself only after a failure
        raise first.failure.error from None

    async def _tries(
        self, messages: list[BaseMessage], stop: list[str] | None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Yield the chunks of the first call that does not fail before its first token.

        Raises:
            _CallFailed: a call failed after it, or the last one did.
        """
        tries, begun = 0, False
        while True:
            try:
                async with aclosing(self._once(messages, stop, **kwargs)) as chunks:  # type: ignore[type-var]
                    async for chunk in chunks:
                        begun = True
                        yield chunk
            except _CallFailed as failed:
                failure = failed.failure
            except ENDPOINT_ERRORS as error:
                failure = failure_of(error, self.alias)
            else:
                return
            tries += 1
            wait = None if begun else self.policy.wait(failure, tries)
            logger.warning(
                "model {alias}: {kind} (status {status}, request {request}), {outcome}",
                alias=self.alias,
                kind=failure.kind,
                status=failure.status,
                request=failure.request_id,
                outcome="given up" if wait is None else f"again in {wait:.1f} s",
            )
            if wait is None:
                raise _CallFailed(failure) from None
            await asyncio.sleep(wait)

    async def _once(
        self, messages: list[BaseMessage], stop: list[str] | None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Yield the chunks of one call, from the first that says something."""
        begun = finished = False
        # Past ChatOpenAI's own `_astream`, which only chooses an API, and would leave the stream to the collector.
        stream = super(ChatOpenAI, self)._astream(messages, stop, stream_usage=True, **kwargs)
        async with aclosing(stream) as chunks:  # type: ignore[type-var]  # declared as an iterator
            async for chunk in chunks:
                reason = (chunk.generation_info or {}).get("finish_reason")
                if not begun:
                    if reason == "length":
                        raise _CallFailed(exhausted(self.alias))
                    if reason is None and _says_nothing(chunk):
                        continue
                    begun = True
                    chunk.generation_info = {**(chunk.generation_info or {}), ANSWERED_BY: self.alias}
                finished = finished or reason is not None
                yield chunk
        if not finished:  # a connection that is closed early and politely looks like an end
            raise _CallFailed(cut_off(self.alias))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        async with aclosing(self._astream(messages, stop, **kwargs)) as chunks:  # type: ignore[type-var]
            return await agenerate_from_stream(chunks)

    # A synchronous node gets its message whole: LangChain streams synchronously only where `_stream` is overridden.
    _stream = BaseChatModel._stream

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        """Make the call in the server's loop, for a synchronous node in its thread."""
        if self.loop is None or _in_loop():
            raise RuntimeError("In a coroutine, await `ainvoke` or `astream`; `invoke` is for synchronous nodes.")
        return asyncio.run_coroutine_threadsafe(self._agenerate(messages, stop, **kwargs), self.loop).result()


def _sampled(model: BaseChatModel, sampling: Mapping[str, Any]) -> BaseChatModel:
    return model.sampled(sampling) if isinstance(model, EndpointModel) else model


def _says_nothing(chunk: ChatGenerationChunk) -> bool:
    message = chunk.message
    return not (
        message.content
        or message.additional_kwargs
        or (isinstance(message, AIMessageChunk) and (message.tool_call_chunks or message.usage_metadata))
    )


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
