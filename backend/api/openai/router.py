"""The OpenAI-compatible door: every agent is a model. What speaks OpenAI's Chat Completions can ask our agents.

Failures are written as OpenAI writes them: `middleware/openai_error.py`.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from backend.api.dependency import Agents, Caller, Models, Runs, Settings
from backend.api.openai.completion import Beats, Completion, follow, with_heartbeats
from backend.core.error import Invalid, NotFound
from backend.dto.event import Event
from backend.dto.run import RunRequest
from backend.schema.openai import (
    DEFAULT_AGENT,
    ChatCompletion,
    ChatCompletionRequest,
    ModelCard,
    ModelList,
    openai_error,
)

router = APIRouter(prefix="/v1", tags=["OpenAI"])

STREAM_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


@router.post(
    "/chat/completions",
    summary="Ask an agent",
    response_model=ChatCompletion,
    responses={200: {"content": {"text/event-stream": {}}, "description": "The answer, whole or as a stream."}},
)
async def create_chat_completion(
    body: ChatCompletionRequest,
    request: Request,
    caller: Caller,
    runs: Runs,
    agents: Agents,
    models: Models,
    settings: Settings,
) -> Response:
    """Answer a conversation, as OpenAI's Chat Completions does. Nothing is stored.

    `model` is an agent's name, a model's alias (the agent `answer` then uses it), or `agent:alias`. Sources come as
    `citations` in the message, and in the `delta` of the last chunk of a stream.
    """
    if len(body.question) > settings.max_question_chars:
        raise Invalid(f"The question is longer than {settings.max_question_chars} characters.", param="messages")
    agent, alias = _resolve(body.model, agents.names(), models.names())
    messages = [message.state() for message in body.messages]
    asked = RunRequest(agent=agent, model=alias, input={"messages": messages}, sampling=body.sampling)
    completion = Completion(body)
    events = with_heartbeats(runs.stateless(caller, asked))
    if not body.stream:
        await _or_hang_up(request, _collect(completion, events))
        return _answer(completion)
    # A run that fails at once is answered with its status; a stream that has begun has none to give any more.
    begun = await _until_it_speaks(events)
    for event in begun or ():
        if event.name == "error":
            completion.feed(event)
            await events.aclose()
            return _answer(completion)
    recheck = request.scope.get("state", {}).get("recheck")
    check = None if recheck is None else partial(recheck, request.scope)
    stream = follow(completion, _again(begun, events), check)
    return StreamingResponse(stream, media_type="text/event-stream", headers=STREAM_HEADERS)


@router.get("/models", summary="List what can be named as `model`")
async def list_models(caller: Caller, agents: Agents, models: Models) -> ModelList:
    """List the agents, then the model aliases. `agent:alias` is a model too."""
    cards = [_card(name, agents.describe(name).description) for name in agents.names()]
    cards += [_card(name, f"The agent {DEFAULT_AGENT!r} with this model.") for name in models.names()]
    return ModelList(data=cards)


@router.get("/models/{model:path}", summary="Look up one model")
async def get_model(model: str, caller: Caller, agents: Agents, models: Models) -> ModelCard:
    """Return one of them."""
    agent, alias = _resolve(model, agents.names(), models.names())
    return _card(model, agents.describe(agent).description if alias is None else f"The agent {agent!r} with {alias!r}.")


def _card(name: str, description: str) -> ModelCard:
    return ModelCard(id=name, description=description)


def _resolve(model: str, agents: list[str], aliases: list[str]) -> tuple[str, str | None]:
    """Return the agent and the alias that `model` names.

    Raises:
        NotFound: it names nothing.
    """
    if model in agents:
        return model, None
    if model in aliases:
        return DEFAULT_AGENT, model
    agent, _, alias = model.partition(":")
    if agent in agents and alias in aliases:
        return agent, alias
    known = ", ".join([*agents, *aliases])
    raise NotFound(f"There is no model {model[:100]!r}. There are: {known}.", param="model", code="model_not_found")


async def _until_it_speaks(events: Beats) -> list[Event] | None:
    """Return the events up to the first that says something; fewer when that takes longer than a heartbeat."""
    seen: list[Event] = []
    async for batch in events:
        if batch is None:
            break
        seen += batch
        if any(event.name != "start" for event in batch):
            break
    return seen


async def _again(begun: list[Event] | None, events: Beats) -> Beats:
    """Yield what has been read already, then the rest."""
    async with aclosing(events):
        yield begun
        async for batch in events:
            yield batch


async def _collect(completion: Completion, events: Beats) -> None:
    async with aclosing(events):
        async for batch in events:
            for event in batch or ():
                completion.feed(event)


async def _or_hang_up(request: Request, work: Coroutine[Any, Any, None]) -> None:
    """Await `work`, and stop it when the client goes away: nobody would read the answer.

    Raises:
        ClientDisconnect: the client has gone.
    """
    task, gone = asyncio.create_task(work), asyncio.create_task(_hung_up(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.wait({task, gone})


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _answer(completion: Completion) -> Response:
    """Return the whole answer, or why there is none."""
    if completion.problem is None:
        return JSONResponse(completion.whole().model_dump())
    status, error = openai_error(completion.problem)
    wait = completion.problem.get("retry_after")
    return JSONResponse(error, status, headers=None if wait is None else {"Retry-After": str(wait)})
