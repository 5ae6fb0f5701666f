"""The knowledge graph over HTTP (I-13, 002-17 to 002-19)."""

from typing import Any

import httpx

from test.files.conftest import Office


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"]


def entity(label: str, key: str, **properties: Any) -> dict[str, Any]:
    return {"label": label, "key": key, "name": key, "properties": properties}


CODE, TICKET = entity("error_code", "E-1042", level=2), entity("ticket", "freshdesk:7/1")
MENTIONS = {
    "source": {"label": "ticket", "key": "freshdesk:7/1"},
    "type": "mentions",
    "target": {"label": "error_code", "key": "E-1042"},
    "properties": {},
}


async def test_entities_and_relations_are_put_asked_for_and_removed(office: Office) -> None:
    put = await office.http.post("/graph/entities", json={"entities": [CODE, TICKET]})
    related = await office.http.post("/graph/relations", json={"relations": [MENTIONS]})
    seen = await office.http.get("/graph/entities/ticket/freshdesk:7/1")
    found = await office.http.get("/graph/entities", params={"text": "e-10", "label": "error_code"})
    around = await office.http.get(
        "/graph/neighbours", params={"label": "error_code", "key": "E-1042", "types": "mentions"}
    )

    assert (put.status_code, related.status_code) == (204, 204)
    assert seen.json() == TICKET
    assert found.json() == {"items": [CODE]}
    assert around.json() == {
        "center": CODE,
        "neighbours": [{"entity": TICKET, "distance": 1}],
        "relations": [MENTIONS],
    }
    ends = {"source_label": "ticket", "source_key": "freshdesk:7/1", "type": "mentions"}
    ends |= {"target_label": "error_code", "target_key": "E-1042"}
    assert (await office.http.delete("/graph/relations", params=ends)).status_code == 204
    assert (await office.http.delete("/graph/entities/error_code/E-1042")).status_code == 204
    assert problem_of(await office.http.delete("/graph/entities/error_code/E-1042")) == (
        404,
        "/problems/entity-not-found",
    )


async def test_a_relation_needs_both_of_its_ends(office: Office) -> None:
    await office.http.post("/graph/entities", json={"entities": [CODE]})

    assert problem_of(await office.http.post("/graph/relations", json={"relations": [MENTIONS]})) == (
        404,
        "/problems/entity-not-found",
    )


async def test_kinds_are_closed_lists_and_nothing_else_can_be_asked(office: Office) -> None:
    injected = "Entity) DETACH DELETE (n"
    answers = [
        await office.http.post("/graph/entities", json={"entities": [entity(injected, "x")]}),
        await office.http.post("/graph/entities", json={"entities": [{**CODE, "query": "MATCH (n)"}]}),
        await office.http.post("/graph/entities", json={"entities": [entity("topic", "a\x00b")]}),
        await office.http.post("/graph/relations", json={"relations": [{**MENTIONS, "type": injected}]}),
        await office.http.get("/graph/neighbours", params={"label": "topic", "key": "x", "types": injected}),
        await office.http.get("/graph/neighbours", params={"label": "topic", "key": "x", "depth": 4}),
        await office.http.get("/graph/entities", params={"label": injected}),
        await office.http.get(f"/graph/entities/{injected}/x"),
    ]

    assert {problem_of(answer) for answer in answers} == {(422, "/problems/invalid")}


async def test_another_tenant_s_graph_is_not_seen(office: Office) -> None:
    await office.http.post("/graph/entities", json={"entities": [CODE]})

    assert (await office.stranger.get("/graph/entities")).json() == {"items": []}
    for answer in (
        await office.stranger.get("/graph/entities/error_code/E-1042"),
        await office.stranger.delete("/graph/entities/error_code/E-1042"),
        await office.stranger.get("/graph/neighbours", params={"label": "error_code", "key": "E-1042"}),
    ):
        assert problem_of(answer) == (404, "/problems/entity-not-found")
