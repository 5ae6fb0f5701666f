"""The store, as the official client asks for it."""

from typing import Any

import httpx
import pytest

from test.agent_fixture import Sdk


async def test_an_item_is_put_read_and_deleted(sdk: Sdk, mark: dict[str, str]):
    namespace = [mark["mark"], "notes"]
    await sdk.store.put_item(namespace, "tea", {"text": "green", "cups": 2})
    item = await sdk.store.get_item(namespace, "tea")
    assert (item["namespace"], item["key"], item["value"]) == (namespace, "tea", {"text": "green", "cups": 2})
    assert item["created_at"] <= item["updated_at"]
    await sdk.store.put_item(namespace, "tea", {"text": "black"})
    changed = await sdk.store.get_item(namespace, "tea")
    assert changed["value"] == {"text": "black"}
    assert changed["updated_at"] >= item["updated_at"]
    await sdk.store.delete_item(namespace, "tea")
    assert await sdk.store.get_item(namespace, "tea") is None


async def test_a_missing_item_is_null_and_no_error(sdk: Sdk, mark: dict[str, str]):
    answer = await sdk.http.client.get("/store/items", params={"namespace": mark["mark"], "key": "nothing"})
    assert (answer.status_code, answer.json()) == (200, None)


async def test_search_filters_by_what_the_values_hold(sdk: Sdk, mark: dict[str, str]):
    for number in range(4):
        await sdk.store.put_item([mark["mark"], str(number % 2)], f"k{number}", {"number": number, "kind": "x"})

    async def keys(**query: Any) -> set[str]:
        found = await sdk.store.search_items([mark["mark"]], **query)
        return {item["key"] for item in found["items"]}

    assert await keys() == {"k0", "k1", "k2", "k3"}
    assert await keys(filter={"number": 2}) == {"k2"}
    assert await keys(filter={"number": {"$gte": 2}}) == {"k2", "k3"}
    assert await keys(filter={"number": {"$ne": 0}, "kind": {"$eq": "x"}}) == {"k1", "k2", "k3"}
    assert await keys(filter={"number": {"$gt": 0, "$lt": 3}}) == {"k1", "k2"}
    assert await keys(filter={"kind') OR 1=1 --": "x"}) == set()
    assert len(await keys(limit=3)) == 3
    assert len(await keys(limit=3, offset=3)) == 1
    below = await sdk.store.search_items([mark["mark"], "1"])
    assert {item["key"] for item in below["items"]} == {"k1", "k3"}


async def test_search_by_meaning_gives_the_nearest_first(sdk: Sdk, mark: dict[str, str]):
    texts = {"tea": "green tea with lemon", "car": "a fast red car", "rain": "rain and wind today"}
    for key, text in texts.items():
        await sdk.store.put_item([mark["mark"]], key, {"text": text})
    await sdk.store.put_item([mark["mark"]], "hidden", {"text": "green tea with lemon"}, index=False)
    found = await sdk.store.search_items([mark["mark"]], query="lemon tea", limit=10)
    scored: list[Any] = [item for item in found["items"] if item.get("score") is not None]
    assert scored[0]["key"] == "tea"
    assert scored[0]["score"] > scored[-1]["score"]
    assert "hidden" not in {item["key"] for item in scored}


async def test_namespaces_are_listed_by_prefix_suffix_and_depth(sdk: Sdk, mark: dict[str, str]):
    root = mark["mark"]
    for namespace in ([root, "a", "x"], [root, "a", "y"], [root, "b", "x"]):
        await sdk.store.put_item(namespace, "k", {"v": 1})

    async def found(**query: Any) -> list[list[str]]:
        return sorted((await sdk.store.list_namespaces(prefix=[root], **query))["namespaces"])

    assert await found() == [[root, "a", "x"], [root, "a", "y"], [root, "b", "x"]]
    assert await found(suffix=["x"]) == [[root, "a", "x"], [root, "b", "x"]]
    assert await found(max_depth=2) == [[root, "a"], [root, "b"]]
    assert len(await found(limit=1, offset=1)) == 1


@pytest.mark.parametrize("namespace", [["a.b"], [""], ["a", ""]])
async def test_a_label_with_a_dot_or_of_nothing_is_unprocessable(sdk: Sdk, namespace: list[str]):
    answer = await sdk.http.client.put("/store/items", json={"namespace": namespace, "key": "k", "value": {"v": 1}})
    assert answer.status_code == 422


async def test_an_item_has_a_time_to_live(sdk: Sdk, mark: dict[str, str]):
    await sdk.store.put_item([mark["mark"]], "k", {"v": 1}, ttl=10)
    assert (await sdk.store.get_item([mark["mark"]], "k", refresh_ttl=True))["value"] == {"v": 1}
    answer: httpx.Response = await sdk.http.client.put(
        "/store/items", json={"namespace": [mark["mark"]], "key": "k", "value": {"v": 1}, "ttl": "soon"}
    )
    assert answer.status_code == 422
