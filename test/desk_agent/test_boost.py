"""What comes first among tickets that are equally alike (000-39)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from test.desk_agent.conftest import House
from test.engine_fixture import until

YEARS = timedelta(days=3 * 365)
ASKED = "The espresso grinder stops with a burning smell after two cups."


async def bring(house: House, *tickets: dict[str, Any]) -> None:
    answer = await house.http.post("/api/v1/tickets", json={"tickets": list(tickets)})
    assert answer.status_code == 201, answer.text

    async def indexed() -> bool:
        return (await house.http.get("/api/v1/tickets/statistics")).json()["unprocessed"] == 0

    await until(indexed)


def ticket(name: str, age: timedelta = YEARS, *, text: str = ASKED, **changes: Any) -> dict[str, Any]:
    moment = (datetime.now(UTC) - age).isoformat()
    title = changes.pop("title", "Grinder stops")
    return {"ticket_id": name, "title": title, "description": text, "platform_updated_at": moment, **changes}


async def found(house: House, path: str, **body: Any) -> list[dict[str, Any]]:
    answer = await (house.http.post(path, json=body) if body else house.http.get(path, params={"limit": 20}))
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def bring_every_kind(house: House) -> list[str]:
    """Bring tickets of one text, and return their ids in the order in which they are to come."""
    now = timedelta()
    await bring(
        house,
        ticket("plain"),
        ticket("urgent", priority="urgent"),
        ticket("recent", now),
        ticket("solved", status="resolved"),
        ticket("solved-recent", now, status="closed"),
        ticket("solved-recent-urgent", now, status="resolved", priority="high"),
    )
    return ["solved-recent-urgent", "solved-recent", "solved", "recent", "urgent", "plain"]


async def test_solved_then_recent_then_urgent_come_first_among_equally_alike(house: House) -> None:
    wanted = await bring_every_kind(house)
    items = await found(house, "/api/v1/tickets/search", query="burning smell from the grinder", limit=20)
    alike = [one for one in items if one["ticket_id"] in wanted]
    assert [one["ticket_id"] for one in alike] == wanted
    assert len({round(one["relevance"], 6) for one in alike}) == 1
    assert alike[0]["boosts"].keys() == {"resolved", "recent", "priority"}


async def test_so_they_do_among_those_that_say_the_very_same(house: House) -> None:
    wanted = await bring_every_kind(house)
    await bring(house, ticket("asking"))
    items = await found(house, "/api/v1/tickets/asking/similar")
    assert [one["ticket_id"] for one in items if one["ticket_id"] in wanted] == wanted
    assert all(0 <= one["score"] <= 1 for one in items)


async def test_the_more_recent_of_two_comes_first(house: House) -> None:
    ages = [0, 30, 90, 365, 2000]
    await bring(house, *(ticket(f"days-{days}", timedelta(days=days)) for days in (90, 2000, 0, 365, 30)))
    items = await found(house, "/api/v1/tickets/search", query=ASKED, limit=20)
    assert [one["ticket_id"] for one in items if one["ticket_id"].startswith("days-")] == [f"days-{n}" for n in ages]


async def test_no_boost_lifts_what_is_about_something_else(house: House) -> None:
    favoured: dict[str, Any] = {"status": "resolved", "priority": "urgent"}
    await bring(
        house,
        ticket("alike"),
        ticket(
            "other", timedelta(), title="Invoice address", text="Please put our new address on invoices.", **favoured
        ),
        ticket("near", timedelta(), title="Espresso beans", text="Which beans suit an espresso machine?", **favoured),
    )
    items = await found(house, "/api/v1/tickets/search", query=ASKED, limit=20)
    names = [one["ticket_id"] for one in items]
    assert names[0] == "alike"
    for one in items:
        assert one["score"] <= one["relevance"] + 0.06
