"""The OpenAPI document says what the server does."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.config.setting import Settings
from backend.container import Container
from backend.main import create_app, create_asgi
from backend.middleware.auth import BearerTokenAuthMiddleware
from backend.service.auth import Authenticator

AGENT_SERVER = ("/assistants", "/threads", "/runs", "/store")
"""Whose bodies are LangGraph's."""
AGENT_DOOR = (*AGENT_SERVER, "/mcp", "/a2a", "/ok", "/info", "/metrics", "/.well-known")
METHODS = {"get", "put", "post", "delete", "head", "patch", "options"}


class Operation(NamedTuple):
    method: str
    path: str
    text: dict[str, Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    folder = tmp_path_factory.mktemp("data")
    settings = Settings(_env_file=None, data_dir=folder, extension_dir=Path("extension"))
    return create_app(Container(settings=settings))


@pytest.fixture(scope="module")
def document(server: FastAPI) -> dict[str, Any]:
    made: dict[str, Any] = server.openapi()
    return made


@pytest.fixture(scope="module")
def whole(server: FastAPI, document: dict[str, Any]) -> ASGIApp:
    """The server before it is opened: what it refuses without looking into the database."""
    return create_asgi(server)


def operations(document: dict[str, Any]) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method, text in item.items():
            if method in METHODS:
                yield Operation(method, path, text)


def test_every_operation_has_a_summary_and_one_tag_that_is_described(document: dict[str, Any]) -> None:
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    used = set()
    for method, path, text in operations(document):
        assert text.get("summary"), (method, path)
        assert len(text.get("tags", ())) == 1, (method, path)
        used.add(text["tags"][0])
    assert used == described  # none that nobody explains, and none that nothing has


def test_what_may_be_asked_for_in_the_query_is_explained(document: dict[str, Any]) -> None:
    silent = [
        (method, path, one["name"])
        for method, path, text in operations(document)
        for one in text.get("parameters", ())
        if path.startswith(("/api/v1/", "/store/")) and one["in"] == "query" and not one.get("description")
    ]
    assert silent == []


def test_bodies_of_our_own_api_have_an_example(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    without = []
    for method, path, text in operations(document):
        body = text.get("requestBody", {})
        content = body.get("content", {}).get("application/json")
        if content is None or not body.get("required") or path.startswith(AGENT_SERVER):
            continue
        parts = [schemas[name] for name in re.findall(r"#/components/schemas/(\w+)", str(content["schema"]))]
        parts += [field for part in parts for field in part["properties"].values()]
        if not any(part.keys() & {"example", "examples"} for part in (content, *parts)):
            without.append((method, path))
    assert without == []


def test_failures_are_told_in_the_form_of_their_door(document: dict[str, Any]) -> None:
    """Nobody gets FastAPI's own `HTTPValidationError` from us, so none is promised."""
    wrong = []
    for method, path, text in operations(document):
        if path.startswith(AGENT_DOOR):
            form = ("application/json", "AgentError")
        elif path.startswith("/v1/"):
            form = ("application/json", "OpenAIError")
        else:
            form = ("application/problem+json", "Problem")
        for status, answer in text["responses"].items():
            content = answer.get("content", {})
            if path.startswith("/health"):
                continue  # 503 says what is not ready
            if status >= "4" and content != {form[0]: {"schema": {"$ref": f"#/components/schemas/{form[1]}"}}}:
                wrong.append((method, path, status, content))
    assert wrong == []
    known = document["components"]["schemas"].keys()
    assert {"Problem", "AgentError", "OpenAIError"} <= known
    assert not {"HTTPValidationError", "ValidationError"} & known
    assert set(re.findall(r"'#/components/schemas/(\w+)'", str(document))) <= known


def test_what_the_door_and_the_frame_refuse_is_said_of_every_operation(document: dict[str, Any]) -> None:
    for method, path, text in operations(document):
        answers = text["responses"].keys()
        if text.get("security"):
            assert {"401", "429"} <= answers or path == "/metrics", (method, path)
        if "requestBody" in text:
            assert {"422" if path.startswith(AGENT_DOOR) else "400", "413"} <= answers, (method, path)
    of = document["paths"]
    assert "403" in of["/api/v1/tickets"]["get"]["responses"]
    assert "403" not in of["/api/v1/auth/me"]["get"]["responses"]
    assert "422" in of["/api/v1/threads"]["post"]["responses"]
    assert "422" not in of["/v1/chat/completions"]["post"]["responses"]  # OpenAI's clients expect 400


async def test_a_type_that_is_not_taken_is_refused_where_that_is_said(document: dict[str, Any], whole: ASGIApp) -> None:
    said, refused = set(), set()
    transport = httpx.ASGITransport(whole, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for method, path, text in operations(document):
            if "application/json" not in text.get("requestBody", {}).get("content", {}):
                assert "415" not in text["responses"], (method, path)
                continue
            if "415" in text["responses"]:
                said.add((method, path))
            url = re.sub(r"\{platform\}", "freshdesk", path)
            url = re.sub(r"\{[^}]*\}", "019cd000-0000-7000-8000-000000000000", url)
            answer = await client.request(method, url, content=b"{}", headers={"content-type": "text/plain"})
            if answer.status_code == 415:
                refused.add((method, path))
    assert said == refused
    assert {("post", "/api/v1/tickets"), ("post", "/v1/chat/completions")} <= said


async def test_an_operation_needs_what_the_door_asks_for(document: dict[str, Any]) -> None:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    door = BearerTokenAuthMiddleware(inside, Authenticator({"default": SecretStr("secret")}))
    schemes = document["components"]["securitySchemes"]
    credentials = {"bearer": {"Authorization": "Bearer secret"}, "api_key": {"x-api-key": "secret"}}
    assert schemes.keys() == credentials.keys()
    assert schemes["api_key"]["name"] == "x-api-key"
    asked = 0
    async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://test") as client:
        for method, path, text in operations(document):
            url = re.sub(r"\{.*?\}", "x", path.replace("{platform}", "freshdesk"))
            answer = await client.request(method, url)
            needed = [name for requirement in text.get("security", ()) for name in requirement]
            assert (answer.status_code == 401) == bool(needed), (method, path)
            asked += bool(needed)
            for name in needed:
                assert (await client.request(method, url, headers=credentials[name])).status_code != 401
    assert asked > 150
