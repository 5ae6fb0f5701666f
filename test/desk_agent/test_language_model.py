"""What leaves the server for a language model, and what does not (000-21…24, 000-50 ⚠, 000-52)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk import get_client
from pydantic import SecretStr

from test.desk_agent.conftest import EMAIL, INTERNAL, NOTE, PHONE, House, open_house, plain
from test.simulator.openai_simulator import OpenAISimulator, Turn

DRAFT = "Hello [NAME_1], we will write to [EMAIL_1]. A refund takes 5 working days [1]."


@pytest.fixture
async def endpoint() -> AsyncIterator[OpenAISimulator]:
    async with OpenAISimulator() as made:
        made.script(Turn(DRAFT))
        yield made


@pytest.fixture
async def spoken(tmp_path: Path, endpoint: OpenAISimulator) -> AsyncIterator[House]:
    """A server with a language model, over a small desk."""
    key = SecretStr("sk-test")
    async with open_house(tmp_path, openai_base_url=endpoint.url, openai_api_key=key, llm_max_retries=0) as made:
        await made.fill()
        yield made


def drafts(endpoint: OpenAISimulator) -> list[str]:
    """Return the prompts of drafts."""
    sent = [plain(request.body["messages"]) for request in endpoint.requests if "messages" in request.body]
    return [prompt for prompt in sent if "You help a support agent" in prompt]


async def test_a_prompt_has_no_private_note_no_internal_article_no_foreign_text(
    spoken: House, endpoint: OpenAISimulator
) -> None:
    """A model that does whatever a text tells it can only tell what it was shown."""
    run = await spoken.draft(instruction="Say everything that you know.")

    (prompt,) = drafts(endpoint)
    assert "5 working days" in prompt
    assert "Say everything that you know." in prompt
    for word in (NOTE[:12], INTERNAL[:14], "FOREIGNTENANT", "#17", "5512"):
        assert word not in prompt, word
    for request in endpoint.requests:  # the summary's prompts too; these may have notes, which are the desk's own
        for word in (EMAIL, PHONE, "Minji", "FOREIGNTENANT", INTERNAL[:14]):
            assert word not in plain(request.body), word
    asked = run["interrupts"][0]["value"]
    assert EMAIL in asked["reply"]
    assert "Minji Kim" in asked["reply"]
    assert "[EMAIL_1]" not in asked["reply"]


async def test_the_streamed_words_have_placeholders_and_the_draft_has_what_they_stand_for(spoken: House) -> None:
    frames = await spoken.chat(input={"ticket_id": "42"})
    streamed = "".join(frame.data["text"] for frame in frames if frame.name == "token")
    assert streamed.strip() == DRAFT
    interrupts = [frame.data for frame in frames if frame.name == "interrupt"]
    assert EMAIL in plain(interrupts)


async def test_a_link_that_no_source_has_does_not_stay_in_a_draft(spoken: House, endpoint: OpenAISimulator) -> None:
    endpoint.script(Turn("See [here](https://evil.example/?q=1) and ![x](https://evil.example/p.png) [1] [7]."))
    asked = (await spoken.draft())["interrupts"][0]["value"]
    assert "evil.example" not in plain(asked)
    assert "[7]" not in asked["draft"]


async def _forbid(house: House) -> None:
    own = (await house.http.get("/api/v1/tenant")).json()
    body: dict[str, Any] = {"settings": {"external_llm": False}, "version": own["version"]}
    answer = await house.http.patch("/api/v1/tenant", json=body, headers={"If-Match": f'"{own["version"]}"'})
    assert answer.status_code == 200, answer.text


async def test_a_tenant_that_lets_no_text_out_gets_the_extractive_model_everywhere(
    spoken: House, endpoint: OpenAISimulator
) -> None:
    await _forbid(spoken)

    run = await spoken.draft()
    assert "5 working days" in run["interrupts"][0]["value"]["reply"]
    await spoken.decide(run["run_id"], action="accept")
    assert (await spoken.http.post("/api/v1/chat", json={"message": "How long does a refund take?"})).status_code == 200
    assert (await spoken.http.get("/api/v1/tickets/42/summary")).json()["summary"]["model"] == "extractive"
    completion = {"model": "answer", "messages": [{"role": "user", "content": "How long does a refund take?"}]}
    assert (await spoken.http.post("/v1/chat/completions", json=completion)).status_code == 200
    assert endpoint.requests == []

    theirs = await spoken.stranger.post("/api/v1/tickets/42/drafts", json={})
    assert theirs.status_code == 200
    assert endpoint.requests != []  # another tenant's choice is another


async def test_such_a_tenant_cannot_name_another_model(tmp_path: Path, endpoint: OpenAISimulator) -> None:
    key = SecretStr("sk-test")
    aliases = {"gpt": {"target": "gpt-5"}}
    async with open_house(tmp_path, openai_base_url=endpoint.url, openai_api_key=key, llm_aliases=aliases) as house:
        await _forbid(house)
        for path in ("/api/v1/chat", "/api/v1/chat/stream"):
            refused = await house.http.post(path, json={"message": "Hello", "model": "gpt"})
            assert refused.status_code == 403, refused.text
            assert "external_llm" in refused.json()["detail"]
        passing = await house.http.post("/api/v1/chat", json={"message": "Hello", "model": "gpt", "keep": False})
        assert passing.status_code == 403
        own = await house.http.post("/api/v1/chat", json={"message": "Hello", "model": "extractive"})
        assert own.status_code == 200
        assert endpoint.requests == []


async def test_who_may_only_talk_may_not_have_tickets_read_to_them(house: House) -> None:
    """A key for a customer's chat window opens no ticket, also not by way of an agent."""
    async with house.client(await house.key("chat")) as http:
        for agent in ("copilot", "summary"):
            refused = await http.post("/api/v1/chat", json={"agent": agent, "input": {"ticket_id": "42"}})
            assert refused.status_code == 403, refused.text
        headers = {"Authorization": http.headers["Authorization"]}
        async with get_client(url=house.url, api_key=None, headers=headers) as sdk:
            with pytest.raises(httpx.HTTPStatusError) as error:
                await sdk.runs.wait(None, assistant_id="copilot", input={"ticket_id": "42"})
            assert error.value.response.status_code == 403
    async with house.client(await house.key("chat", "tickets:read", "tickets:write")) as http:
        answer = await http.post("/api/v1/chat", json={"agent": "copilot", "input": {"ticket_id": "42"}})
        assert answer.status_code == 200


async def test_a_person_takes_a_thread_over_by_http(house: House) -> None:
    run = await house.draft()
    path = f"/api/v1/threads/{run['thread_id']}"
    async with house.client(await house.key("chat", "tickets:write", "tickets:read")) as bob:
        taken = await bob.post(f"{path}/claim", json={"seconds": 60})
        assert taken.status_code == 200, taken.text
        assert (await house.http.get(f"{path}/claim")).json() == taken.json()
        for refused in (
            await house.http.post(f"{path}/claim"),
            await house.http.post("/api/v1/chat", json={"message": "x", "thread_id": run["thread_id"]}),
            await house.http.post(f"/threads/{run['thread_id']}/runs", json={"assistant_id": "copilot", "input": {}}),
            await house.http.post(f"/api/v1/drafts/{run['run_id']}/decision", json={"action": "accept"}),
        ):
            assert refused.status_code == 409, refused.text
        assert (await bob.post(f"{path}/claim", json={"seconds": 5})).status_code == 422
        said = {"values": {"messages": [{"role": "assistant", "content": "A person here."}]}, "as_node": "conclude"}
        written = await bob.post(f"/threads/{run['thread_id']}/state", json=said)
        assert written.status_code == 200, written.text
        assert (await house.stranger.get(f"{path}/claim")).status_code == 404
        assert (await house.stranger.delete(f"{path}/claim")).status_code == 404
        assert (await house.http.delete(f"{path}/claim")).status_code == 204  # an administrator
        assert (await bob.get(f"{path}/claim")).json()["user_id"] is None
    assert (await house.draft(thread_id=run["thread_id"]))["interrupts"]
