"""Counts what a run uses of the models: a LangChain callback handler, one for each run."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from backend.config.setting import ModelAlias
from backend.dto.usage import Usage
from backend.util.token_count import estimate_tokens

ANSWERED_BY = "model_alias"
"""Member of a message's `response_metadata`: the alias that answered, which after a fallback is not the one asked."""
_MILLION = 1_000_000


@dataclass(slots=True)
class _Call:
    messages: list[BaseMessage]
    began: float
    said: list[str]


class UsageMeter(BaseCallbackHandler):
    """Sums the calls of one run; put it into `config["callbacks"]` and read `usage` whenever.

    Its methods are synchronous and run in the loop (`run_inline`): LangChain would send them to a thread otherwise.
    """

    run_inline = True
    # What is not a model's is not told to us at all: a run has far more steps than calls.
    ignore_chain = ignore_agent = ignore_retriever = ignore_custom_event = True

    def __init__(self, alias: str, prices: Mapping[str, ModelAlias]) -> None:
        """Count for a run that asked for `alias`; `prices` by alias, and a call of no alias costs what `alias` does."""
        self._alias = alias
        self._prices = prices
        self._open: dict[UUID, _Call] = {}
        self._input = self._output = self._calls = 0
        self._cost = self._latency = 0.0
        self._estimated = False

    @property
    def usage(self) -> Usage:
        """What has been used until now."""
        return Usage(
            model=self._alias,
            input_tokens=self._input,
            output_tokens=self._output,
            cost=self._cost,
            calls=self._calls,
            latency=self._latency,
            estimated=self._estimated,
        )

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        self._open[run_id] = _Call(messages[0] if messages else [], time.perf_counter(), [])
        self._calls += 1

    def on_llm_new_token(self, token: str | list[str | dict[str, Any]], *, run_id: UUID, **kwargs: Any) -> None:
        call = self._open.get(run_id)
        if call is not None and isinstance(token, str):
            call.said.append(token)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        call = self._open.pop(run_id, None)
        if call is None:
            return
        message = _message(response)
        counted = message.usage_metadata if isinstance(message, AIMessage) else None
        alias = str(message.response_metadata.get(ANSWERED_BY, self._alias)) if message is not None else self._alias
        if counted:
            self._add(call, alias, counted["input_tokens"], counted["output_tokens"])
        else:
            self._estimate(call, alias, message.text if message is not None else "")

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Count what was said until it failed or was cancelled; a call that never said anything is not charged."""
        call = self._open.pop(run_id, None)
        if call is None:
            return
        said = "".join(call.said)
        if said:
            self._estimate(call, self._alias, said)
        else:
            self._add(call, self._alias, 0, 0)

    def _estimate(self, call: _Call, alias: str, said: str) -> None:
        self._estimated = True
        asked = sum(estimate_tokens(message.text) for message in call.messages)
        self._add(call, alias, asked, estimate_tokens(said))

    def _add(self, call: _Call, alias: str, input_tokens: int, output_tokens: int) -> None:
        price = self._prices.get(alias) or self._prices.get(self._alias)
        self._latency += time.perf_counter() - call.began
        self._input += input_tokens
        self._output += output_tokens
        if price is not None:
            self._cost += (input_tokens * price.input_price + output_tokens * price.output_price) / _MILLION


def _message(response: LLMResult) -> BaseMessage | None:
    for generations in response.generations:
        for generation in generations:
            if isinstance(generation, ChatGeneration):
                return generation.message
    return None
