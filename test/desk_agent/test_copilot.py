"""The agents `copilot` and `summary` through the doors (I-1, I-5, 000-21…24)."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import socketio
from langgraph_sdk import get_client

from backend.core.error import UpstreamFailed
from backend.dto.ticket import ArticleData, TicketData
from backend.repository.article import ArticleRepository
from backend.repository.ticket import TicketRepository
from test.desk_agent.conftest import ALICE, EMAIL, INTERNAL, NOTE, NOW, PHONE, House, last, open_house, plain
from test.door_fixture import parse
from test.engine_fixture import until


async def test_a_draft_waits_for_its_person_with_sources_of_both_kinds(house: House) -> None:
    run = await house.draft()

    assert run["status"] == "interrupted"
    asked = run["interrupts"][0]["value"]
    assert asked["action"] == "review_draft"
    assert asked["ticket"]["ticket_id"] == "42"
    assert "5 working days" in asked["reply"]
    assert asked["reply"].startswith("Hello, and thank you")
    assert "[1]" in asked["draft"]
    assert "[1]" not in asked["reply"]
    assert "https://help.example.com/1" in asked["reply"]
    assert "language model" not in asked["reply"]
    assert "#17" not in asked["reply"]
    assert "Earlier answer" not in asked["reply"]
    assert any(one["title"] == "Refunds: rules for agents" for one in asked["internal"])
    state = (await house.state(run["thread_id"]))["values"]
    assert {one["kind"] for one in state["documents"]} == {"article", "ticket"}
    assert state["similar"][0]["ticket_id"] == "17"
    assert state["summary"]["problem"]


async def test_what_is_private_internal_or_anothers_is_not_in_what_a_draft_is_made_of(house: House) -> None:
    """(000-50 ⚠)"""
    run = await house.draft()
    state = (await house.state(run["thread_id"]))["values"]
    for part in ("documents", "draft", "reply", "question"):
        said = plain(state[part])
        for word in (NOTE[:12], INTERNAL[:14], "FOREIGNTENANT"):
            assert word not in said, (part, word)
    assert EMAIL not in plain(state["question"])
    assert PHONE not in plain(state["question"])


async def test_the_stream_shows_ticket_summary_similar_tickets_sources_and_tokens(house: House) -> None:
    frames = await house.chat(input={"ticket_id": "42"})
    names = [frame.name for frame in frames]
    tools = {frame.data["name"] for frame in frames if frame.name == "tool"}
    assert tools == {"ticket", "summary", "similar_tickets"}
    assert names.index("citation") < names.index("token") < names.index("interrupt")
    assert last(frames)["interrupts"]


async def test_an_accepted_draft_becomes_a_note_when_asked_and_feedback_once(house: House) -> None:
    run = await house.draft()
    reply = run["interrupts"][0]["value"]["reply"]

    ended = await house.decide(run["run_id"], action="accept", write_note=True)

    assert ended["answer"] == "The draft was accepted as it is. It was written to the ticket as a private note."
    assert house.source.notes == [("42", reply.replace("\n", "<br>\n"))]
    again = await house.http.post(f"/api/v1/drafts/{run['run_id']}/decision", json={"action": "accept"})
    assert again.status_code == 409
    kept = (await house.http.get("/api/v1/feedback", params={"ticket_id": "42"})).json()
    assert (kept["total"], kept["by_kind"]) == (1, {"accept": 1, "edit": 0, "reject": 0})
    assert kept["items"][0]["final"] == reply
    assert kept["items"][0]["platform"] == "freshdesk"


async def test_an_edit_and_a_rejection_are_kept_with_their_reasons(house: House) -> None:
    run = await house.draft()
    await house.decide(run["run_id"], action="edit", text="Your <refund> is under way.", comment="shorter")
    run = await house.draft(thread_id=run["thread_id"])
    await house.decide(run["run_id"], action="reject", comment="wrong")

    items = (await house.http.get("/api/v1/feedback")).json()["items"]
    assert [(one["kind"], one["final"], one["comment"]) for one in items] == [
        ("reject", None, "wrong"),
        ("edit", "Your <refund> is under way.", "shorter"),
    ]
    assert house.source.notes == []
    assert (await house.stranger.get("/api/v1/feedback")).json()["total"] == 0


async def test_a_platform_that_does_not_take_the_note_costs_nobody_the_decision(house: House) -> None:
    house.source.failure = UpstreamFailed("The platform answered 500.")
    run = await house.draft()
    ended = await house.decide(run["run_id"], action="accept", write_note=True)
    assert "No note was written" in ended["answer"]
    state = (await house.state(run["thread_id"]))["values"]
    assert state["note_problem"] == "The platform answered 500."
    assert (await house.http.get("/api/v1/feedback")).json()["by_kind"]["accept"] == 1


async def test_another_tenants_draft_cannot_be_decided_on(house: House) -> None:
    run = await house.draft()
    path = f"/api/v1/drafts/{run['run_id']}/decision"
    assert (await house.stranger.post(path, json={"action": "accept"})).status_code == 404
    own = (await house.stranger.post("/api/v1/tickets/42/drafts", json={})).json()
    assert "FOREIGNTENANT" in plain(own)
    assert "working days" not in plain(own)


async def test_a_message_names_the_ticket_and_later_ones_go_on_with_it(house: House) -> None:
    frames = await house.chat(message="티켓 60: 짧게 답해 주세요")
    thread_id = last(frames)["thread_id"]
    state = (await house.state(thread_id))["values"]
    assert (state["ticket"]["ticket_id"], state["instruction"]) == ("60", "짧게 답해 주세요")
    assert "쿠키" in state["reply"]
    assert state["reply"].startswith("안녕하세요")

    await house.decide(last(frames)["run_id"], action="reject")
    await house.chat(message="make the ticket reply shorter", thread_id=thread_id)
    state = (await house.state(thread_id))["values"]
    assert (state["ticket"]["ticket_id"], state["instruction"]) == ("60", "make the ticket reply shorter")

    await house.chat(message="#42 politely", thread_id=thread_id)
    state = (await house.state(thread_id))["values"]
    assert (state["ticket"]["ticket_id"], state["instruction"]) == ("42", "politely")


async def test_without_evidence_there_is_no_draft_but_the_reason(house: House) -> None:
    frames = await house.chat(input={"ticket_id": "99"})
    assert "refusal" in [frame.name for frame in frames]
    assert (last(frames)["refused"], last(frames).get("interrupts")) == (True, None)
    assert (await house.http.get("/api/v1/feedback")).json()["total"] == 0


async def test_a_ticket_that_is_not_there_is_one_error_event(house: House) -> None:
    frames = await house.chat(message="ticket 4711")
    assert (frames[-1].name, last(frames)["type"]) == ("error", "/problems/ticket-not-found")
    frames = await house.chat(message="hello there")
    assert (frames[-1].name, last(frames)["type"]) == ("error", "/problems/invalid")
    missing = await house.http.post("/api/v1/tickets/4711/drafts", json={})
    assert missing.status_code == 404


async def test_the_official_client_drafts_is_asked_again_and_resumes(house: House) -> None:
    client = get_client(url=house.url, api_key=None, headers={"Authorization": f"Bearer {ALICE}"}, timeout=60)
    async with client:
        thread = await client.threads.create()
        said = client.runs.stream(thread["thread_id"], assistant_id="copilot", input={"ticket_id": "42"})
        parts: list[Any] = [part async for part in said]
        assert any("__interrupt__" in plain(part.data) for part in parts)

        wrong: Any = await client.runs.wait(
            thread["thread_id"], assistant_id="copilot", command={"resume": {"action": "publish"}}
        )
        assert "must be one of" in wrong["__interrupt__"][0]["value"]["problem"]
        assert house.source.notes == []

        right: Any = await client.runs.wait(
            thread["thread_id"], assistant_id="copilot", command={"resume": {"action": "accept", "write_note": True}}
        )
        assert right["decision"]["action"] == "accept"
        assert len(house.source.notes) == 1


async def test_a_socket_resumes_and_hears_of_a_hand_over(house: House) -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    client = socketio.AsyncClient(reconnection=False)
    client.on("events", events.put_nowait)
    client.on("claim", lambda data: events.put_nowait({"claim": data}))
    await client.connect(house.url, auth={"token": ALICE}, transports=["websocket"])
    try:
        asked = await client.call("chat", {"agent": "copilot", "input": {"ticket_id": "42"}})
        await _event(events, "done")
        taken = await client.call("claim", {"thread_id": asked["thread_id"], "seconds": 60})
        assert taken["user_id"] == "default"
        async with asyncio.timeout(60):
            while "claim" not in (told := await events.get()):
                pass
        assert told["claim"]["claim"]["user_id"] == "default"
        refused = await client.call("resume", {"run_id": asked["run_id"], "answer": "accept"})
        assert refused["problem"]["type"] == "/problems/thread-claimed"
        assert (await client.call("release", {"thread_id": asked["thread_id"]}))["user_id"] is None

        resumed = await client.call("resume", {"run_id": asked["run_id"], "answer": "accept"})
        assert resumed["ok"], resumed
        assert (await _event(events, "done"))["data"]["answer"] == "The draft was accepted as it is."
    finally:
        await client.disconnect()


async def _event(events: "asyncio.Queue[Any]", name: str) -> Any:
    async with asyncio.timeout(60):
        while True:
            for event in (await events.get()).get("events", ()):
                if event["event"] == name:
                    return event


async def test_a_draft_waits_through_a_restart_of_the_server(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.fill()
        run = await house.draft()
    async with open_house(tmp_path) as house:
        ended = await house.decide(run["run_id"], action="accept", write_note=True)
        assert "was accepted" in ended["answer"]
        assert len(house.source.notes) == 1


async def test_a_note_is_written_once_though_the_server_stops_in_the_middle(tmp_path: Path) -> None:
    """The platform has the note, and its answer comes to a server that is gone (000-39 ⚠)."""
    async with open_house(tmp_path) as house:
        await house.fill()
        run = await house.draft()
        house.source.gate = asyncio.Event()
        body = {"action": "accept", "write_note": True, "stream": True}
        async with house.http.stream("POST", f"/api/v1/drafts/{run['run_id']}/decision", json=body) as answer:
            assert answer.status_code == 200
            async with asyncio.timeout(60):
                await house.source.came.wait()
        assert len(house.source.notes) == 1
    async with open_house(tmp_path) as house:

        async def ended() -> bool:
            thread = (await house.http.get(f"/api/v1/threads/{run['thread_id']}")).json()
            return bool(thread["status"] == "idle")

        await until(ended)
        assert house.source.notes == []
        state = (await house.state(run["thread_id"]))["values"]
        assert "not known whether" in state["messages"][-1]["content"]
        assert (await house.http.get("/api/v1/feedback")).json()["total"] == 1


async def test_a_node_behind_one_of_three_branches_does_not_make_the_gate_run_twice(tmp_path: Path) -> None:
    folder = tmp_path / "extension"
    folder.mkdir()
    (folder / "freshest.py").write_text(
        'AGENT = "copilot"\nAFTER = ("retrieve",)\n\n\nasync def freshest(state):\n    return {"evidence": 0.5}\n',
        "utf-8",
    )
    async with open_house(tmp_path / "data", extension_dir=tmp_path / "extension") as house:
        await house.fill()
        frames = await house.chat(input={"ticket_id": "42"})
        firsts = [frame for frame in frames if frame.name == "citation" and frame.data["index"] == 1]
        assert len(firsts) == 1
        assert (await house.state(last(frames)["thread_id"]))["values"]["evidence"] == 0.5


async def test_the_summary_agent_says_what_the_ticket_is_about(house: House) -> None:
    answer = await house.http.post("/api/v1/chat", json={"agent": "summary", "message": "ticket 42"})
    assert answer.json()["answer"].startswith("Problem: ")
    assert EMAIL not in answer.text
    assert PHONE not in answer.text
    korean = await house.http.post(
        "/api/v1/chat", json={"agent": "summary", "input": {"ticket_id": "42", "language": "ko"}}
    )
    assert korean.json()["answer"].startswith("문제: ")


async def test_an_english_ticket_is_answered_from_the_english_article_of_a_korean_desk(house: House) -> None:
    """(000-25) Each language is a source of its own, and a draft has one of them."""
    korean = ArticleData(
        article_id="7",
        title="창고 이전 신청",
        description="<p>창고(warehouse) 이전은 이전일 14일 전까지 RELOC-7 양식으로 신청합니다.</p>",
        audience="customer",
        published=True,
        url="https://help.example.com/support/solutions/articles/7",
        language="ko",
        platform_updated_at=NOW,
    )
    english = replace(
        korean,
        article_id="7:en",
        title="Moving your warehouse",
        description="<p>Apply for a warehouse relocation with form RELOC-7, 14 days before you move.</p>",
        url="https://help.example.com/en/support/solutions/articles/7",
        language="en",
        translation_of="7",
    )
    asked = {
        "70": ("How do we move our warehouse?", "We want to move our warehouse. How do I apply for the relocation?"),
        "71": ("창고 이전 문의", "창고 이전은 어떻게 신청하나요? 언제까지 신청해야 하나요?"),
    }
    tickets = [
        TicketData(ticket_id=n, title=title, description=f"<p>{text}</p>", status=2, status_name="open", priority=2)
        for n, (title, text) in asked.items()
    ]

    def put(c: Any) -> None:
        TicketRepository(c, "default").put("freshdesk", tickets, NOW)
        ArticleRepository(c, "default").put("freshdesk", [korean, english], NOW)

    await house.container.database().write(put)
    async for _ in house.container.support_index().work("default"):
        pass

    for number, language, other in (("70", "en", korean), ("71", "ko", english)):
        run = await house.draft(number)
        documents = (await house.state(run["thread_id"]))["values"]["documents"]
        sources = {one["title"]: one for one in run["interrupts"][0]["value"]["citations"]}
        mine = english if language == "en" else korean
        assert sources[mine.title]["language"] == language
        assert mine.url in run["interrupts"][0]["value"]["reply"]
        assert other.title not in [one["title"] for one in documents]

    # Nor does the agent that customers ask, whose own language decides.
    for question, mine, other in (
        ("How do I apply for the relocation of a warehouse?", english, korean),
        ("창고 이전은 어떻게 신청하나요? (RELOC-7 warehouse)", korean, english),
    ):
        answer = await house.http.post("/api/v1/chat/stream", json={"agent": "answer", "message": question})
        titles = [frame.data["title"] for frame in parse(answer.text) if frame.name == "citation"]
        assert mine.title in titles
        assert other.title not in titles

    listed = (await house.http.get("/api/v1/articles", params={"limit": 100})).json()["items"]
    shown = {one["article_id"]: (one["language"], one["translation_of"]) for one in listed}
    assert (shown["7"], shown["7:en"]) == (("ko", None), ("en", "7"))


async def test_a_used_up_budget_refuses_drafts_and_lets_people_decide_on_those_there_are(tmp_path: Path) -> None:
    """No model is asked behind the interrupt; what asks one again is no decision."""
    async with open_house(tmp_path, daily_tokens=1) as house:
        await house.fill()
        house.container.budget()._answer_tokens = 0  # so that three drafts may be begun before one is counted
        first, second, third = await asyncio.gather(house.draft(), house.draft(), house.draft())
        assert (await house.http.get("/api/v1/usage/me")).json()["budget"]["remaining_tokens"] == 0
        assert (await house.http.post("/api/v1/tickets/42/drafts", json={})).status_code == 429

        ended = await house.decide(first["run_id"], action="accept", write_note=True)
        assert "was accepted" in ended["answer"]
        assert len(house.source.notes) == 1

        wait = f"/threads/{second['thread_id']}/runs/wait"
        resume = {"resume": {"action": "reject"}}
        for more in (
            {"command": {**resume, "goto": "draft"}},
            {"command": {**resume, "update": {"instruction": "shorter"}}},
            {"command": resume, "input": {"ticket_id": "42"}},
            {"command": resume, "checkpoint": (await house.state(second["thread_id"]))["checkpoint"]},
            {"input": {"ticket_id": "42"}},
        ):
            refused = await house.http.post(wait, json={"assistant_id": "copilot", **more})
            assert refused.status_code in {422, 429}, (more, refused.text)
        answered = await house.http.post(wait, json={"assistant_id": "copilot", "command": resume})
        assert answered.json()["decision"]["action"] == "reject", answered.text
        again = await house.http.post(wait, json={"assistant_id": "copilot", "command": resume})
        assert again.status_code == 429, "nothing waits any more"

        async with socketio.AsyncSimpleClient() as client:
            await client.connect(house.url, auth={"token": ALICE}, transports=["websocket"])
            resumed = await client.call("resume", {"run_id": third["run_id"], "answer": "accept"}, timeout=60)
            assert resumed["ok"], resumed
            refused = await client.call("chat", {"agent": "copilot", "input": {"ticket_id": "42"}}, timeout=60)
            assert refused["problem"]["type"] == "/problems/budget-exceeded"

        async def kept() -> bool:
            return bool((await house.http.get("/api/v1/feedback")).json()["total"] == 3)

        await until(kept)


async def test_of_many_decisions_in_one_moment_by_all_doors_one_is_taken(house: House) -> None:
    """One note, one piece of feedback, whichever door was first."""
    run = await house.draft()
    decision = {"action": "accept", "write_note": True}
    by_draft = [house.http.post(f"/api/v1/drafts/{run['run_id']}/decision", json=decision) for _ in range(3)]
    by_run = [house.http.post(f"/api/v1/runs/{run['run_id']}/resume", json={"answer": decision}) for _ in range(3)]
    by_command = [
        house.http.post(
            f"/threads/{run['thread_id']}/runs/wait",
            json={"assistant_id": "copilot", "command": {"resume": decision}, "multitask_strategy": strategy},
        )
        for strategy in ("reject", "enqueue", "interrupt")
    ]
    answers = await asyncio.gather(*by_draft, *by_run, *by_command)
    assert {answer.status_code for answer in answers} == {200, 409}, [answer.text for answer in answers]

    async def rests() -> bool:
        return bool((await house.http.get(f"/api/v1/threads/{run['thread_id']}")).json()["status"] == "idle")

    await until(rests)
    assert len(house.source.notes) == 1
    assert (await house.http.get("/api/v1/feedback")).json()["by_kind"] == {"accept": 1, "edit": 0, "reject": 0}


async def test_a_draft_on_a_thread_that_a_person_has_is_decided_at_no_door(house: House) -> None:
    run = await house.draft()
    thread = run["thread_id"]
    assert (await house.http.post(f"/api/v1/threads/{thread}/claim")).status_code == 200
    command = {"assistant_id": "copilot", "command": {"resume": "accept"}}
    soon = f"{datetime.now(UTC) + timedelta(days=1):%M %H %d %m} *"
    cron = await house.http.post(f"/threads/{thread}/runs/crons", json={"schedule": soon, **command})
    doors: list[tuple[str, dict[str, Any]]] = [
        (f"/api/v1/drafts/{run['run_id']}/decision", {"action": "accept"}),
        (f"/api/v1/runs/{run['run_id']}/resume", {"answer": "accept"}),
        (f"/threads/{thread}/runs", command),
        (f"/threads/{thread}/runs/wait", {**command, "multitask_strategy": "interrupt"}),
        (f"/threads/{thread}/runs/stream", {**command, "multitask_strategy": "rollback"}),
        ("/api/v1/chat", {"agent": "copilot", "message": "#42", "thread_id": thread}),
    ]
    for path, body in doors:
        refused = await house.http.post(path, json=body)
        assert refused.status_code == 409, (path, refused.status_code, refused.text)
    assert cron.status_code in {200, 409}, cron.text
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "message/send",
        "params": {
            "message": {
                "role": "user",
                "messageId": "m",
                "contextId": thread,
                "parts": [{"kind": "text", "text": "accept"}],
            }
        },
    }
    found = (await house.http.post("/assistants/search", json={"graph_id": "copilot"})).json()
    said = await house.http.post(f"/a2a/{found[0]['assistant_id']}", json=call)
    assert "error" in said.json(), said.text
    assert house.source.notes == []
    assert (await house.http.get("/api/v1/feedback")).json()["total"] == 0

    assert (await house.http.delete(f"/api/v1/threads/{thread}/claim")).status_code == 204
    assert "was accepted" in (await house.decide(run["run_id"], action="accept"))["answer"]
