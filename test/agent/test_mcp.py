"""Assistants as tools of the Model Context Protocol, over the wire and by the official client."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from test.agent_fixture import WAIT_SECONDS, Sdk, Tenants

pytestmark = pytest.mark.timeout(120)

ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.fixture
async def http(agent_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=agent_url, headers=ACCEPT, timeout=WAIT_SECONDS) as client:
        yield client


def message(method: str, params: Any = None, call_id: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call_id, "method": method} | ({} if params is None else {"params": params})


async def ask(
    http: httpx.AsyncClient, method: str, params: Any = None, version: str | None = None, **headers: str
) -> Any:
    """Return the result of a request."""
    if version is not None:
        headers["mcp-protocol-version"] = version
    answer = await http.post("/mcp", json=message(method, params), headers=headers)
    assert answer.status_code == 200
    assert (answer.json()["jsonrpc"], answer.json()["id"]) == ("2.0", 1)
    return answer.json()["result"]


async def refusal(http: httpx.AsyncClient, method: str, params: Any = None) -> int:
    """Return the code with which a request is refused."""
    answer = await http.post("/mcp", json=message(method, params))
    assert answer.status_code == 200
    return answer.json()["error"]["code"]


async def tools(http: httpx.AsyncClient, **headers: str) -> dict[str, dict[str, Any]]:
    """Return all tools by name, page by page."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await ask(http, "tools/list", None if cursor is None else {"cursor": cursor}, **headers)
        found += page["tools"]
        if (cursor := page.get("nextCursor")) is None:
            break
    assert len({tool["name"] for tool in found}) == len(found)
    return {tool["name"]: tool for tool in found}


async def call(
    http: httpx.AsyncClient, name: str, arguments: Any = None, version: str | None = None, **headers: str
) -> Any:
    return await ask(http, "tools/call", {"name": name, "arguments": arguments or {}}, version, **headers)


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_the_version_that_the_client_asks_for_is_spoken(http: httpx.AsyncClient, version: str):
    begun = await ask(http, "initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": {}})
    assert begun["protocolVersion"] == version
    assert begun["capabilities"] == {"tools": {"listChanged": False}}


@pytest.mark.parametrize("asked", ["2099-01-01", "nonsense", 7, None])
async def test_a_version_that_is_not_known_is_answered_with_the_newest(http: httpx.AsyncClient, asked: Any):
    assert (await ask(http, "initialize", {"protocolVersion": asked}))["protocolVersion"] == "2025-11-25"


async def test_the_official_client_lists_and_calls_tools(agent_url: str):
    from mcp.client.client import Client
    from mcp_types import TextContent

    async with Client(f"{agent_url}/mcp") as client:
        listed = await client.list_tools()
        assert {"echo", "counter"} <= {tool.name for tool in listed.tools}
        result = await client.call_tool("echo", {"messages": "hello"})
        assert not result.is_error
        assert result.content == [TextContent(type="text", text="echo: hello")]
        assert (await client.call_tool("failing", {"total": 1})).is_error


async def test_a_ping_keeps_its_id(http: httpx.AsyncClient):
    for call_id in (1, "one", 1.5, 0):
        answer = await http.post("/mcp", json=message("ping", call_id=call_id))
        assert answer.json() == {"jsonrpc": "2.0", "id": call_id, "result": {}}


async def test_what_needs_no_answer_is_accepted(http: httpx.AsyncClient):
    for body in (
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "method": "notifications/of-tomorrow"},
        {"jsonrpc": "2.0", "id": 4, "result": {}},
        [{"jsonrpc": "2.0", "method": "notifications/initialized"}],
    ):
        answer = await http.post("/mcp", json=body)
        assert (answer.status_code, answer.content) == (202, b"")


async def test_there_are_no_streams_and_no_sessions(http: httpx.AsyncClient):
    assert (await http.get("/mcp")).status_code == 405
    assert (await http.delete("/mcp")).status_code == 404


async def test_malformed_messages_are_refused(http: httpx.AsyncClient):
    for body, code in (
        (b"{", -32700),
        (b"", -32700),
        (b'"x"', -32600),
        (b"[]", -32600),
        (b'{"id": 1, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 3}', -32600),
    ):
        answer = await http.post("/mcp", content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_unknown_methods_and_wrong_parameters_are_refused(http: httpx.AsyncClient):
    assert await refusal(http, "resources/list") == -32601
    assert await refusal(http, "tools/list", [1]) == -32602
    assert await refusal(http, "tools/list", {"cursor": "-1"}) == -32602
    assert await refusal(http, "tools/call", {"name": "nobody"}) == -32602
    assert await refusal(http, "tools/call", {"name": 1}) == -32602
    assert await refusal(http, "tools/call", {"name": "echo", "arguments": [1]}) == -32602


async def test_a_client_that_takes_no_json_is_refused(http: httpx.AsyncClient):
    for accept, status in (("text/html", 400), ("application/json", 200), ("text/event-stream", 200), ("*/*", 200)):
        assert (await http.post("/mcp", json=message("ping"), headers={"accept": accept})).status_code == status


async def test_a_batch_is_answered_in_order_in_the_versions_that_have_batches(http: httpx.AsyncClient):
    batch = [
        message("ping", call_id="a"),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        message("tools/call", {"name": "counter", "arguments": {"total": 1}}, call_id="b"),
        {"jsonrpc": "1.0", "id": "c", "method": "ping"},
    ]
    answers = (await http.post("/mcp", json=batch)).json()
    assert [answer["id"] for answer in answers] == ["a", "b", "c"]
    assert '"total":4' in answers[1]["result"]["content"][0]["text"]
    assert answers[2]["error"]["code"] == -32600
    assert (await http.post("/mcp", json=[message("ping")] * 21)).status_code == 400
    newer = await http.post("/mcp", json=batch, headers={"mcp-protocol-version": "2025-06-18"})
    assert newer.status_code == 400


async def test_a_tool_takes_the_input_of_its_graph(http: httpx.AsyncClient):
    found = await tools(http)
    assert found["counter"]["inputSchema"]["properties"].keys() == {"total", "log", "note"}
    assert all(tool["inputSchema"]["type"] == "object" for tool in found.values())


async def test_a_conversation_is_taken_as_a_text_and_no_definition_is_left_over(http: httpx.AsyncClient):
    schema = (await tools(http))["echo"]["inputSchema"]
    assert schema["properties"]["messages"]["type"] == "string"
    assert schema["required"] == ["messages"]
    assert "$defs" not in schema
    as_text = await call(http, "echo", {"messages": "hi"})
    as_list = await call(http, "echo", {"messages": [{"role": "user", "content": "hi"}]})
    assert as_text["content"] == as_list["content"] == [{"type": "text", "text": "echo: hi"}]


async def test_an_input_that_is_no_object_is_one_argument(http: httpx.AsyncClient):
    schema = (await tools(http))["functional"]["inputSchema"]
    assert schema["properties"]["input"]["type"] == "integer"
    assert (await call(http, "functional", {"input": 21}))["content"][0]["text"] == "42"


async def test_the_output_is_structured_where_the_protocol_has_that(http: httpx.AsyncClient):
    for version, structured in ((None, False), ("2025-03-26", False), ("2025-06-18", True), ("2025-11-25", True)):
        result = await call(http, "counter", {"total": 1}, version)
        assert result["content"][0]["text"] == '{"total":4,"log":["one","two","three"]}'
        assert ("structuredContent" in result) == structured
        if structured:
            assert result["structuredContent"] == {"total": 4, "log": ["one", "two", "three"]}


async def test_a_failure_is_a_result_and_says_why(http: httpx.AsyncClient):
    result = await call(http, "failing", {"total": 1})
    assert result["isError"] is True
    assert result["content"][0]["text"] == "ValueError: it fails on purpose"
    assert (await call(http, "echo", {"messages": 5}))["isError"] is True


async def test_a_question_of_the_graph_is_told(http: httpx.AsyncClient):
    result = await call(http, "consult", {"messages": "hi"})
    assert "Shall we?" in result["content"][0]["text"]


async def test_a_call_leaves_no_thread(http: httpx.AsyncClient, sdk: Sdk):
    before = await sdk.threads.count()
    await call(http, "echo", {"messages": "hi"})
    assert await sdk.threads.count() == before


async def test_assistants_of_one_name_are_tools_of_different_names(http: httpx.AsyncClient, sdk: Sdk):
    name = f"Team {uuid4().hex[:8]}!"
    older = await sdk.assistants.create("counter", name=name, description="The older one.")
    newer = await sdk.assistants.create("counter", name=name)
    impostor = await sdk.assistants.create("counter", name="echo")
    korean = await sdk.assistants.create("counter", name="비서")
    try:
        found = await tools(http)
        plain = name.removesuffix("!").replace(" ", "_")
        assert found[plain]["title"] == name
        assert found[plain]["description"] == "The older one."
        assert f"{plain}_{newer['assistant_id'][:8]}" in found
        assert found["echo"]["inputSchema"]["required"] == ["messages"]
        assert f"echo_{impostor['assistant_id'][:8]}" in found
        assert f"counter_{korean['assistant_id'][:8]}" in found
        result = await call(http, f"echo_{impostor['assistant_id'][:8]}", {"total": 1})
        assert '"total":4' in result["content"][0]["text"]
    finally:
        for assistant in (older, newer, impostor, korean):
            await sdk.assistants.delete(assistant["assistant_id"])


async def test_many_tools_come_in_pages(http: httpx.AsyncClient, sdk: Sdk):
    made = [await sdk.assistants.create("counter", name=f"Page {number}") for number in range(100)]
    try:
        page = await ask(http, "tools/list")
        assert len(page["tools"]) == 100
        assert page["nextCursor"] == "100"
        assert {f"Page_{number}" for number in range(100)} <= (await tools(http)).keys()
    finally:
        for assistant in made:
            await sdk.assistants.delete(assistant["assistant_id"])


async def test_another_tenants_assistant_is_no_tool(tenants: Tenants, alice: Sdk):
    name = f"secret_{uuid4().hex[:8]}"
    assistant = await alice.assistants.create("counter", name=name)
    try:
        async with httpx.AsyncClient(base_url=tenants.url, headers=ACCEPT, timeout=WAIT_SECONDS) as http:
            assert (await http.post("/mcp", json=message("tools/list"))).status_code == 401
            http.headers["authorization"] = f"Bearer {tenants.mallory}"
            assert name not in await tools(http)
            assert await refusal(http, "tools/call", {"name": name, "arguments": {"total": 1}}) == -32602
            http.headers["authorization"] = f"Bearer {tenants.alice}"
            assert name in await tools(http)
    finally:
        await alice.assistants.delete(assistant["assistant_id"])
