"""What went wrong at an endpoint: whether another try may help, and what the caller is told.

The caller never reads what the endpoint wrote: it may hold keys, prompts or the names of machines. The log gets the
kind, the status and the endpoint's request id.

Importing this module imports the OpenAI SDK.
"""

import email.utils
import math
import time
from dataclasses import dataclass, replace

import httpx2
import openai
from langchain_core.exceptions import ContextOverflowError

from backend.core.error import DomainError, TooLarge, TooMany, UpstreamFailed, UpstreamTimeout

ENDPOINT_ERRORS = (openai.OpenAIError, httpx2.HTTPError, TimeoutError, ValueError)
"""What a call of an endpoint may raise; a ValueError is an answer that is not JSON."""

DEFAULT_WAIT = 5
"""Seconds to wait after a 429 that does not say."""
_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed call."""

    error: DomainError
    """What the caller is told."""
    kind: str
    """A word for the log."""
    retryable: bool = False
    """Whether the same request may succeed in a moment."""
    retry_after: float | None = None
    """Seconds that the endpoint asks us to wait."""
    status: int | None = None
    request_id: str | None = None
    """The endpoint's."""


def failure_of(error: Exception, model: str) -> Failure:
    """Return what `error`, one of `ENDPOINT_ERRORS`, means for a call of the model that callers know as `model`."""
    if isinstance(error, openai.APITimeoutError):
        # Who did not even connect may be back in a moment; who was silent for a whole timeout will be so again.
        return _too_slow(model, retryable=_while_connecting(error))
    if isinstance(error, (TimeoutError, httpx2.TimeoutException)):
        return _too_slow(model, retryable=False)
    if isinstance(error, openai.APIStatusError):
        request_id = (error.request_id or "")[:100] or None
        return replace(_of_status(error, model), status=error.status_code, request_id=request_id)
    if isinstance(error, (openai.APIConnectionError, httpx2.HTTPError)):
        return Failure(_failed(model, "could not be reached, or the connection broke"), "connection", retryable=True)
    if isinstance(error, ContextOverflowError):
        return _too_long(model)
    if isinstance(error, openai.APIError):  # an error within a stream
        if _is_quota(error):
            return _no_quota(model)
        return Failure(_failed(model, "failed while it answered"), "stream error", retryable=True)
    return Failure(_failed(model, "sent an answer that cannot be read"), "unreadable", retryable=True)


def cut_off(model: str) -> Failure:
    """Return the failure of an answer that ends in the middle, which no exception tells."""
    return Failure(_failed(model, "stopped in the middle of its answer"), "cut off", retryable=True)


def exhausted(model: str) -> Failure:
    """Return the failure of an answer that is empty because thinking took the whole budget."""
    return Failure(_failed(model, "used its whole budget of tokens before it answered"), "no answer")


def _of_status(error: openai.APIStatusError, model: str) -> Failure:
    status, headers = error.status_code, error.response.headers
    if isinstance(error, ContextOverflowError) or error.code == "context_length_exceeded":
        return _too_long(model)
    if _is_quota(error):
        return _no_quota(model)
    wait = _retry_after(headers)
    hint = headers.get("x-should-retry")
    retryable = hint == "true" if hint in {"true", "false"} else status in {408, 409, 429} or status >= 500
    if status == 429:
        seconds = max(1, math.ceil(wait if wait is not None else DEFAULT_WAIT))
        busy = TooMany(f"The model {model!r} gets more requests than it takes.", retry_after=seconds)
        return Failure(busy, "rate limit", retryable, wait)
    if status in {401, 403}:
        return Failure(_failed(model, "does not accept this server's key"), "key refused")
    if status == 404:
        return Failure(_failed(model, "is not known at its endpoint"), "unknown model")
    if status in {400, 413, 422}:
        return Failure(_failed(model, "does not accept the request"), "request refused")
    if status in {408, 504}:
        return Failure(_slow(model), "timeout", retryable, wait)
    return Failure(_failed(model, "failed"), "server error", retryable, wait)


def _while_connecting(error: BaseException) -> bool:
    """Return whether it is a connection that took too long; the SDK and LangChain each wrap what the client raised."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (httpx2.ConnectTimeout, httpx2.PoolTimeout)):
            return True
        cause = cause.__cause__
    return False


def _is_quota(error: openai.APIError) -> bool:
    return error.code in _QUOTA or error.type in _QUOTA


def _failed(model: str, what: str) -> UpstreamFailed:
    return UpstreamFailed(f"The model {model!r} {what}.", model=model)


def _slow(model: str) -> UpstreamTimeout:
    return UpstreamTimeout(f"The model {model!r} did not answer in time.", model=model)


def _too_slow(model: str, *, retryable: bool) -> Failure:
    return Failure(_slow(model), "timeout", retryable)


def _too_long(model: str) -> Failure:
    return Failure(TooLarge(f"The conversation is longer than the model {model!r} can read."), "too long")


def _no_quota(model: str) -> Failure:
    return Failure(_failed(model, "cannot be used: its account has no quota left"), "no quota")


def _retry_after(headers: httpx2.Headers) -> float | None:
    """Return the seconds of `retry-after-ms` or `retry-after` (a number or a date, RFC 9110 §10.2.3)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    moment = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return max(0.0, email.utils.mktime_tz(moment) - time.time()) if moment else None
