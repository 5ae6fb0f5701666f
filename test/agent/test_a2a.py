"""Assistants as agents of Agent2Agent, in both dialects: over the wire and by the official client."""

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from test.agent_fixture import WAIT_SECONDS, Gate, Sdk, Tenants, default_assistant, until

pytestmark = pytest.mark.timeout(120)

TASK_SCOPE = {"LangGraph-A2A-History-Scope": "task"}


class Agent:
    """An assistant, as an agent of either dialect sees it."""

    def __init__(self, http: httpx.AsyncClient, graph_id: str) -> None:
        self.http = http
        self.path = f"/a2a/{default_assistant(graph_id)}"

    async def rpc(self, method: str, params: Any = None, **headers: str) -> Any:
        """Return the answer to a request."""
        body = {"jsonrpc": "2.0", "id": "q", "method": method} | ({} if params is None else {"params": params})
        answer = await self.http.post(self.path, json=body, headers=headers)
        assert answer.status_code == 200
        assert (answer.json()["jsonrpc"], answer.json()["id"]) == ("2.0", "q")
        return answer.json()

    async def ask(self, method: str, params: Any = None, **headers: str) -> Any:
        answer = await self.rpc(method, params, **headers)
        assert "result" in answer, answer
        return answer["result"]

    async def refusal(self, method: str, params: Any = None, **headers: str) -> int:
        return (await self.rpc(method, params, **headers))["error"]["code"]

    async def stream(self, method: str, params: Any) -> AsyncIterator[Any]:
        """Yield the results of a stream as they come."""
        body = {"jsonrpc": "2.0", "id": "q", "method": method, "params": params}
        async with self.http.stream("POST", self.path, json=body) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    yield orjson.loads(line.removeprefix("data: "))["result"]


@pytest.fixture
async def http(agent_url: str) -> AsyncIterator[httpx.AsyncClient]:
    accept = {"accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient(base_url=agent_url, headers=accept, timeout=WAIT_SECONDS) as client:
        yield client


@pytest.fixture
def echo(http: httpx.AsyncClient) -> Agent:
    return Agent(http, "echo")


def old(text: str, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the parameters of a message of 0.3."""
    said = [{"kind": "text", "text": text}, *parts]
    return {"message": {"kind": "message", "role": "user", "messageId": uuid4().hex, "parts": said, **more}}


def new(text: str, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the parameters of a message of 1.0."""
    return {"message": {"role": "ROLE_USER", "messageId": uuid4().hex, "parts": [{"text": text}, *parts], **more}}


def texts(task: dict[str, Any]) -> list[str]:
    """Return what was said in a task."""
    return [part["text"] for message in task["history"] for part in message["parts"] if "text" in part]


async def test_a_message_of_0_3_is_answered_with_the_task_that_it_became(echo: Agent):
    asked = old("hi")
    task = await echo.ask("message/send", asked)
    assert (task["kind"], task["status"]["state"]) == ("task", "completed")
    thread_id, run_id = task["id"].split(":")
    assert task["contextId"] == thread_id
    said, answer = task["history"]
    assert said == {
        "kind": "message",
        "role": "user",
        "messageId": asked["message"]["messageId"],
        "parts": [{"kind": "text", "text": "hi"}],
        "contextId": thread_id,
        "taskId": task["id"],
    }
    assert (answer["role"], answer["parts"]) == ("agent", [{"kind": "text", "text": "echo: hi"}])
    (artifact,) = task["artifacts"]
    assert (artifact["artifactId"], artifact["parts"]) == (run_id, [{"kind": "text", "text": "echo: hi"}])
    assert await echo.ask("tasks/get", {"id": task["id"]}) == task


async def test_a_message_of_1_0_is_answered_in_the_json_of_protocol_buffers(echo: Agent):
    answer = await echo.ask("SendMessage", new("hi"), **{"A2A-Version": "1.0"})
    task = answer["task"]
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert [message["role"] for message in task["history"]] == ["ROLE_USER", "ROLE_AGENT"]
    assert task["artifacts"][0]["parts"] == [{"text": "echo: hi"}]
    assert "kind" not in orjson.dumps(answer).decode()
    assert await echo.ask("GetTask", {"id": task["id"]}) == task


@pytest.mark.parametrize("streaming", [True, False])
async def test_the_official_client_is_answered(agent_url: str, streaming: bool):
    from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
    from a2a.types.a2a_pb2 import TASK_STATE_COMPLETED, GetTaskRequest, Message, Part, Role, SendMessageRequest

    path = f"/a2a/{default_assistant('tokens')}/.well-known/agent-card.json"
    async with httpx.AsyncClient(timeout=WAIT_SECONDS) as http:
        card = await A2ACardResolver(http, agent_url, agent_card_path=path).get_agent_card()
        client = ClientFactory(ClientConfig(httpx_client=http, streaming=streaming)).create(card)
        said = Message(message_id=uuid4().hex, role=Role.ROLE_USER, parts=[Part(text="good day")])
        found = [event async for event in client.send_message(SendMessageRequest(message=said))]
        kinds = [event.WhichOneof("payload") for event in found]
        if streaming:
            assert kinds[0] == "task"
            assert kinds[-2:] == ["artifact_update", "status_update"]
            assert found[-2].artifact_update.artifact.parts[0].text == "You said: good day "
            assert found[-1].status_update.status.state == TASK_STATE_COMPLETED
        else:
            assert kinds == ["task"]
        task = await client.get_task(GetTaskRequest(id=found[0].task.id))
        assert task.status.state == TASK_STATE_COMPLETED
        assert task.artifacts[0].parts[0].text == "You said: good day "


async def test_the_official_client_of_before_is_answered(agent_url: str):
    from a2a.client import ClientConfig, ClientFactory
    from a2a.types.a2a_pb2 import AgentCard, AgentInterface, Message, Part, Role, SendMessageRequest

    url = f"{agent_url}/a2a/{default_assistant('tokens')}"
    interface = AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="0.3")
    card = AgentCard(name="tokens", supported_interfaces=[interface])
    card.capabilities.streaming = True
    async with httpx.AsyncClient(timeout=WAIT_SECONDS) as http:
        client = ClientFactory(ClientConfig(httpx_client=http)).create(card)
        said = Message(message_id=uuid4().hex, role=Role.ROLE_USER, parts=[Part(text="good day")])
        found = [event async for event in client.send_message(SendMessageRequest(message=said))]
    kinds = [event.WhichOneof("payload") for event in found]
    assert (kinds[0], kinds[-2:]) == ("task", ["artifact_update", "status_update"])


async def test_a_context_is_a_thread_and_its_tasks_follow_each_other(echo: Agent, sdk: Sdk):
    first = await echo.ask("message/send", old("one"))
    second = await echo.ask("message/send", old("two", contextId=first["contextId"]))
    assert second["contextId"] == first["contextId"]
    assert second["id"] != first["id"]
    assert texts(second) == ["one", "echo: one", "two", "echo: two"]
    assert [message["taskId"] for message in second["history"]] == [first["id"]] * 2 + [second["id"]] * 2
    assert texts(await echo.ask("tasks/get", {"id": first["id"]})) == ["one", "echo: one"]
    assert texts(await echo.ask("tasks/get", {"id": second["id"]}, **TASK_SCOPE)) == ["two", "echo: two"]
    assert (await sdk.threads.get(first["contextId"]))["metadata"]["graph_id"] == "echo"


async def test_a_client_may_choose_the_context(echo: Agent):
    context_id = str(uuid4())
    assert (await echo.ask("message/send", old("hi", contextId=context_id)))["contextId"] == context_id
    assert await echo.refusal("message/send", old("hi", contextId="mine")) == -32602


async def test_history_can_be_cut(echo: Agent):
    task = await echo.ask("message/send", old("hi") | {"configuration": {"historyLength": 0}})
    assert "history" not in task
    assert texts(await echo.ask("tasks/get", {"id": task["id"], "historyLength": 1})) == ["echo: hi"]


async def test_data_go_into_the_input_and_files_into_the_message(http: httpx.AsyncClient, echo: Agent, sdk: Sdk):
    tokens = Agent(http, "tokens")
    task = await tokens.ask("message/send", old("hi", {"kind": "data", "data": {"gate": ""}}))
    assert (await sdk.threads.get_state(task["contextId"]))["values"]["gate"] == ""
    picture = {"raw": "aGk=", "mediaType": "image/png", "filename": "a.png"}
    there = {"url": "https://example.org/a.pdf", "mediaType": "application/pdf"}
    shown = (await echo.ask("SendMessage", new("look", picture, there)))["task"]
    assert shown["history"][0]["parts"] == [{"text": "look"}, picture, there]
    state = await sdk.threads.get_state(shown["contextId"])
    assert state["values"]["messages"][0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image", "base64": "aGk=", "mime_type": "image/png", "filename": "a.png"},
        {"type": "file", "url": "https://example.org/a.pdf", "mime_type": "application/pdf"},
    ]
    messages = {"data": {"messages": [{"role": "user", "content": "as data"}]}}
    only_data = {"message": {"role": "ROLE_USER", "messageId": "m", "parts": [messages]}}
    assert texts((await echo.ask("SendMessage", only_data))["task"]) == ["as data", "echo: as data"]


async def test_parts_that_say_nothing_known_are_refused(echo: Agent):
    for part in ({"kind": "dance"}, {"data": [1]}, {"raw": "no base64!"}, {"raw": "aGk=", "url": "https://a.example"}):
        message = {"role": "user", "messageId": "m", "parts": [part]}
        assert await echo.refusal("message/send", {"message": message}) == -32005


async def test_wrong_parameters_are_refused(echo: Agent):
    said = old("hi")["message"]
    for params in (
        None,
        {},
        [1],
        {"message": {**said, "parts": []}},
        {"message": {**said, "role": "king"}},
        {"message": {key: value for key, value in said.items() if key != "messageId"}},
        {"message": {**said, "parts": said["parts"] * 101}},
    ):
        assert await echo.refusal("message/send", params) == -32602
    assert await echo.refusal("tasks/get", {}) == -32602
    assert await echo.refusal("GetTask", {"id": "x"}, **{"LangGraph-A2A-History-Scope": "all"}) == -32602
    assert await echo.refusal("ListTasks", {"pageSize": 101}) == -32602
    assert await echo.refusal("ListTasks", {"pageToken": "one"}) == -32602
    assert await echo.refusal("ListTasks", {"status": "TASK_STATE_HAPPY"}) == -32602


async def test_malformed_requests_are_refused(echo: Agent):
    for body, code in ((b"{", -32700), (b"[]", -32600), (b'{"id": 1, "method": "GetTask"}', -32600)):
        answer = await echo.http.post(echo.path, content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (200, code)
    assert await echo.refusal("tasks/dance") == -32601
    assert await echo.refusal("message/send", old("hi"), **{"A2A-Version": "2.0"}) == -32009


async def test_push_notifications_are_refused(echo: Agent):
    assert await echo.refusal("tasks/pushNotificationConfig/set", {"taskId": "x"}) == -32003
    wanted = {"configuration": {"pushNotificationConfig": {"url": "https://example.org"}}}
    assert await echo.refusal("message/send", old("hi") | wanted) == -32003


async def test_a_client_must_take_what_it_gets(echo: Agent):
    for method, accept, status in (
        ("message/send", "application/json", 200),
        ("message/send", "*/*", 200),
        ("message/send", "text/html", 400),
        ("message/send", "text/event-stream", 400),
        ("message/stream", "text/event-stream", 200),
        ("message/stream", "application/json", 400),
    ):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": old("hi")}
        assert (await echo.http.post(echo.path, json=body, headers={"accept": accept})).status_code == status


async def test_a_graph_without_messages_cannot_be_talked_to(http: httpx.AsyncClient):
    answer = await Agent(http, "counter").rpc("message/send", old("hi"))
    assert answer["error"]["code"] == -32602
    assert "total, log, note" in answer["error"]["message"]
    assert await Agent(http, "counter").refusal("message/stream", old("hi")) == -32602


async def test_an_agent_that_is_not_there_is_refused(http: httpx.AsyncClient):
    body = {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": old("hi")}
    for name in (str(uuid4()), "nobody"):
        assert (await http.post(f"/a2a/{name}", json=body)).json()["error"]["code"] == -32602
        assert (await http.get(f"/a2a/{name}/.well-known/agent-card.json")).status_code == 400


async def test_a_failure_is_told(http: httpx.AsyncClient):
    stumble = Agent(http, "stumble")
    task = await stumble.ask("message/send", old("hi"))
    assert task["status"]["state"] == "failed"
    assert task["status"]["message"]["parts"] == [{"kind": "text", "text": "it stumbles on purpose"}]
    assert texts(task) == ["hi"]
    *_, last = [event async for event in stumble.stream("SendStreamingMessage", new("hi"))]
    assert last["statusUpdate"]["status"]["state"] == "TASK_STATE_FAILED"
    assert await stumble.refusal("message/send", old("again", taskId=task["id"])) == -32004


@pytest.mark.parametrize("streams", [True, False])
async def test_a_question_is_answered_on_the_same_task(http: httpx.AsyncClient, streams: bool):
    consult = Agent(http, "consult")
    task = await consult.ask("message/send", old("May I?"))
    assert task["status"]["state"] == "input-required"
    (artifact,) = task["artifacts"]
    (part,) = artifact["parts"]
    assert part["data"] == {"id": artifact["artifactId"], "value": {"question": "Shall we?"}}
    assert await consult.ask("tasks/get", {"id": task["id"]}) == task
    if streams:
        events = [event async for event in consult.stream("message/stream", old("yes", taskId=task["id"]))]
        assert {event.get("taskId", event.get("id")) for event in events} == {task["id"]}
        assert events[-1]["status"]["state"] == "completed"
    else:
        answered = await consult.ask("message/send", old("yes", taskId=task["id"], contextId=task["contextId"]))
        assert (answered["id"], answered["status"]["state"]) == (task["id"], "completed")
    assert texts(await consult.ask("tasks/get", {"id": task["id"]})) == ["May I?", "decided: yes"]


async def test_a_question_is_answered_with_data(http: httpx.AsyncClient):
    consult = Agent(http, "consult")
    task = (await consult.ask("SendMessage", new("May I?")))["task"]
    answer = {"role": "ROLE_USER", "messageId": "a", "taskId": task["id"], "parts": [{"data": {"ok": True}}]}
    answered = (await consult.ask("SendMessage", {"message": answer}))["task"]
    assert texts(answered)[-1] == "decided: {'ok': True}"


async def test_a_question_can_be_given_up(http: httpx.AsyncClient, sdk: Sdk):
    consult = Agent(http, "consult")
    task = await consult.ask("message/send", old("May I?"))
    canceled = await consult.ask("tasks/cancel", {"id": task["id"]})
    assert canceled["status"]["state"] == "canceled"
    assert (await sdk.threads.get(task["contextId"]))["status"] == "idle"
    assert await consult.refusal("message/send", old("yes", taskId=task["id"])) == -32004
    assert await consult.refusal("tasks/cancel", {"id": task["id"]}) == -32002


async def test_a_new_task_gives_up_the_question_before_it(http: httpx.AsyncClient):
    consult = Agent(http, "consult")
    first = await consult.ask("message/send", old("May I?"))
    second = await consult.ask("message/send", old("May I, then?", contextId=first["contextId"]))
    assert second["id"] != first["id"]
    assert second["status"]["state"] == "input-required"
    assert (await consult.ask("tasks/get", {"id": first["id"]}))["status"]["state"] == "canceled"


async def test_a_stream_tells_the_task_the_text_the_answer_and_the_end(http: httpx.AsyncClient):
    events = [event async for event in Agent(http, "tokens").stream("message/stream", old("one two three"))]
    task, *working, artifact, end = events
    assert (task["kind"], task["status"]["state"], texts(task)) == ("task", "submitted", ["one two three"])
    assert working
    told = [event["status"]["message"]["parts"][0]["text"] for event in working]
    assert all(event["status"]["state"] == "working" and event["final"] is False for event in working)
    assert all(later.startswith(earlier) for earlier, later in pairwise(told))
    assert told[-1] == artifact["artifact"]["parts"][0]["text"] == "You said: one two three "
    assert (artifact["kind"], artifact["lastChunk"]) == ("artifact-update", True)
    assert (end["kind"], end["status"]["state"], end["final"]) == ("status-update", "completed", True)
    assert {event.get("taskId", event.get("id")) for event in events} == {task["id"]}


async def test_a_stream_tells_the_results_of_tools(http: httpx.AsyncClient):
    events = [event async for event in Agent(http, "tools").stream("SendStreamingMessage", new("add 2 3"))]
    said = [event["statusUpdate"]["status"].get("message") for event in events if "statusUpdate" in event]
    parts = [message["parts"][0] for message in said if message]
    assert parts[0]["data"]["tool_results"][0] == {
        "toolCallId": "call-1",
        "content": "5",
        "name": "add",
        "status": "success",
    }
    assert parts[-1]["text"] == "The sum is 5 . "


async def test_a_task_that_works_is_followed_and_looked_at_and_canceled(http: httpx.AsyncClient, gate: Gate):
    tokens = Agent(http, "tokens")
    asked = old("hi", {"kind": "data", "data": gate.input}) | {"configuration": {"blocking": False}}
    task = await tokens.ask("message/send", asked)
    assert task["status"]["state"] == "submitted"

    async def look() -> Any:
        return await tokens.ask("tasks/get", {"id": task["id"]})

    assert texts(await until(look, lambda found: found["status"]["state"] == "working")) == ["hi"]
    events: list[Any] = []
    async for event in tokens.stream("tasks/resubscribe", {"id": task["id"]}):
        events.append(event)
        if len(events) == 2:
            assert event["status"]["message"]["parts"][0]["text"].startswith("You")
            canceled = await tokens.ask("tasks/cancel", {"id": task["id"]})
            assert canceled["status"]["state"] == "canceled"
    assert events[-1]["status"]["state"] == "canceled"
    assert await tokens.refusal("tasks/cancel", {"id": task["id"]}) == -32002
    assert await tokens.refusal("SubscribeToTask", {"id": task["id"]}) == -32004


async def test_a_task_that_works_takes_more_messages_and_ends_after_the_last(http: httpx.AsyncClient, gate: Gate):
    tokens = Agent(http, "tokens")
    asked = old("one", {"kind": "data", "data": gate.input}) | {"configuration": {"blocking": False}}
    task = await tokens.ask("message/send", asked)
    more = old("two", taskId=task["id"]) | {"configuration": {"blocking": False}}
    assert (await tokens.ask("message/send", more))["id"] == task["id"]
    events = tokens.stream("tasks/resubscribe", {"id": task["id"]})
    assert (await anext(events))["id"] == task["id"]
    gate.open()
    *_, last = [event async for event in events]
    assert (last["status"]["state"], last["final"]) == ("completed", True)
    found = await tokens.ask("tasks/get", {"id": task["id"]})
    assert texts(found) == ["one", "You said: one ", "two", "You said: two "]


async def test_tasks_are_listed(http: httpx.AsyncClient):
    consult = Agent(http, "consult")
    first = await consult.ask("message/send", old("May I?"))
    await consult.ask("message/send", old("yes", taskId=first["id"]))
    second = await consult.ask("message/send", old("May I?", contextId=first["contextId"]))
    here = {"contextId": first["contextId"]}
    found = await consult.ask("ListTasks", here)
    assert [task["id"] for task in found["tasks"]] == [second["id"], first["id"]]
    assert (found["totalSize"], found["nextPageToken"]) == (2, "")
    assert all("artifacts" not in task for task in found["tasks"])
    page = await consult.ask("ListTasks", here | {"pageSize": 1, "includeArtifacts": True})
    assert [task["id"] for task in page["tasks"]] == [second["id"]]
    assert page["tasks"][0]["artifacts"][0]["name"] == "Interrupt"
    rest = await consult.ask("ListTasks", here | {"pageSize": 1, "pageToken": page["nextPageToken"]})
    assert [task["id"] for task in rest["tasks"]] == [first["id"]]
    done = await consult.ask("ListTasks", here | {"status": "TASK_STATE_COMPLETED"})
    assert [task["id"] for task in done["tasks"]] == [first["id"]]
    everywhere = await consult.ask("ListTasks", {"pageSize": 100})
    assert {first["id"], second["id"]} <= {task["id"] for task in everywhere["tasks"]}
    later = await consult.ask("ListTasks", here | {"statusTimestampAfter": "2999-01-01T00:00:00Z"})
    assert later["tasks"] == []


async def test_a_task_belongs_to_its_agent(http: httpx.AsyncClient, echo: Agent):
    task = await echo.ask("message/send", old("hi"))
    assert await Agent(http, "tokens").refusal("tasks/get", {"id": task["id"]}) == -32001
    assert await echo.refusal("tasks/get", {"id": task["id"], "contextId": str(uuid4())}) == -32001
    assert await echo.refusal("tasks/get", {"id": "nonsense"}) == -32001
    assert await echo.refusal("message/send", old("hi", taskId="nonsense")) == -32001


async def test_a_run_that_is_no_task_is_not_found(echo: Agent, sdk: Sdk):
    thread = await sdk.threads.create()
    run = await sdk.runs.create(
        thread["thread_id"], "echo", input={"messages": [{"role": "user", "content": "hi"}]}, metadata={"a2a": 1}
    )
    await sdk.runs.join(thread["thread_id"], run["run_id"])
    assert await echo.refusal("tasks/get", {"id": f"{thread['thread_id']}:{run['run_id']}"}) == -32001
    assert (await echo.ask("ListTasks", {"contextId": thread["thread_id"]}))["tasks"] == []


async def test_the_card_is_at_each_of_its_places(http: httpx.AsyncClient, echo: Agent):
    card = (await http.get(f"{echo.path}/.well-known/agent-card.json")).json()
    assert card["name"] == "echo"
    assert card["url"] == f"{str(http.base_url).rstrip('/')}{echo.path}"
    assert {one["protocolVersion"]: one["url"] for one in card["supportedInterfaces"]} == {
        "1.0": card["url"],
        "0.3": card["url"],
    }
    assert card["capabilities"]["streaming"] is True
    assert card["skills"][0]["metadata"]["inputSchema"]["supportsA2A"] is True
    assistant_id = echo.path.removeprefix("/a2a/")
    for path in (
        echo.path,
        f"{echo.path}/.well-known/agent.json",
        f"/.well-known/agent-card.json?assistant_id={assistant_id}",
        "/a2a/echo/.well-known/agent-card.json",
    ):
        assert (await http.get(path)).json() == card
    assert await echo.ask("GetExtendedAgentCard", {}) == card
    assert (await http.get("/.well-known/agent-card.json")).status_code == 400
    other = (await http.get(f"/a2a/{default_assistant('counter')}/.well-known/agent-card.json")).json()
    assert other["skills"][0]["metadata"]["inputSchema"]["supportsA2A"] is False
    assert (await http.delete(echo.path)).status_code == 405


async def test_another_tenants_tasks_and_contexts_are_not_found(tenants: Tenants):
    accept = {"accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient(base_url=tenants.url, headers=accept, timeout=WAIT_SECONDS) as http:
        echo = Agent(http, "echo")
        body = {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": old("hi")}
        assert (await http.post(echo.path, json=body)).status_code == 401
        alice = {"authorization": f"Bearer {tenants.alice}"}
        mallory = {"authorization": f"Bearer {tenants.mallory}"}
        task = await echo.ask("message/send", old("secret"), **alice)
        for method in ("tasks/get", "tasks/cancel", "GetTask", "SubscribeToTask"):
            assert await echo.refusal(method, {"id": task["id"]}, **mallory) == -32001
        assert await echo.refusal("message/send", old("hi", taskId=task["id"]), **mallory) == -32001
        listed = await echo.ask("ListTasks", {"contextId": task["contextId"]}, **mallory)
        assert (listed["tasks"], listed["totalSize"]) == ([], 0)
        answer = await echo.rpc("message/send", old("hi", contextId=task["contextId"]), **mallory)
        assert "secret" not in orjson.dumps(answer).decode()
        assert texts(await echo.ask("tasks/get", {"id": task["id"]}, **alice)) == ["secret", "echo: secret"]
