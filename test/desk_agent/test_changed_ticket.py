"""A ticket that changes while a draft of a reply to it is written."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from backend.repository.ticket import TicketRepository
from test.desk_agent.conftest import NOW, open_house, plain
from test.engine_fixture import until
from test.simulator.openai_simulator import OpenAISimulator, Turn

WAITS = """
import asyncio
from pathlib import Path

AGENT = "copilot"
AFTER = ("draft",)


async def waits(state):
    folder = Path(__file__).parent
    if not (folder / "go").exists():
        (folder / "came").touch()
        await asyncio.Event().wait()
    return {}
"""


async def test_placeholders_stay_where_the_ticket_changed_before_the_draft_was_checked(tmp_path: Path) -> None:
    """The server dies between the two; in what the ticket says since, the numbers are other people's."""
    folder = tmp_path / "extension"
    folder.mkdir()
    (folder / "waits.py").write_text(WAITS, "utf-8")
    async with OpenAISimulator() as endpoint:
        endpoint.script(Turn("We will write to [EMAIL_1]. A refund takes 5 working days [1]."))
        settings: dict[str, Any] = {
            "openai_base_url": endpoint.url, "openai_api_key": SecretStr("sk-test"), "extension_dir": folder
        }  # fmt: skip
        async with open_house(tmp_path / "data", **settings) as house:
            await house.fill()
            body = {"agent": "copilot", "input": {"ticket_id": "42"}}
            async with house.http.stream("POST", "/api/v1/chat/stream", json=body) as answer:
                assert answer.status_code == 200
                await until(lambda: asyncio.to_thread((folder / "came").exists))
                (thread,) = (await house.http.get("/api/v1/threads")).json()["items"]

                def change(connection: Any) -> None:
                    desk = TicketRepository(connection, "default")
                    found = desk.find("42", None)
                    asked = f"My colleague is other.person@example.com. {found.data.description}"
                    desk.put("freshdesk", [replace(found.data, description=asked)], NOW)

                await house.container.database().write(change)
        (folder / "go").touch()
        async with open_house(tmp_path / "data", **settings) as house:

            async def asks() -> bool:
                return bool((await house.state(thread["thread_id"]))["next"] == ["review"])

            await until(asks)
            state = await house.state(thread["thread_id"])
            asked = state["tasks"][0]["interrupts"][0]["value"]
            assert "[EMAIL_1]" in asked["reply"]
            assert "other.person@example.com" not in plain(asked)
            assert ["changed" in one for one in asked["warnings"]] == [True]
            (folder / "came").unlink()
            fresh = (await house.draft())["interrupts"][0]["value"]
            assert "other.person@example.com" in fresh["reply"]  # which is [EMAIL_1] now
            assert "warnings" not in fresh
