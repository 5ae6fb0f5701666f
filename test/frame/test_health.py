"""How the server says that it is well, or not."""

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from backend.api.dependency import health_service
from backend.api.health import router
from backend.core.error import Unavailable
from backend.service.health import Check, HealthService
from test.frame.asgi import client, logged


async def well() -> None:
    await asyncio.sleep(0)


async def gone() -> None:
    raise Unavailable("Redis at cache:6379 does not answer (ConnectionError).")


async def broken() -> None:
    raise OSError("cannot reach postgresql://daedap:canary@db/daedap")


async def hanging() -> None:
    await asyncio.Event().wait()


def make(checks: dict[str, Check], **options: Any) -> HealthService:
    return HealthService(checks, "1.2.3", "development", **{"kept": 0.0, **options})


async def ask(service: HealthService, path: str = "/health") -> httpx.Response:
    app = FastAPI()
    app.include_router(router)
    app.dependency_overrides[health_service] = lambda: service
    async with client(app) as http:
        return await http.get(path)


async def test_a_server_that_is_well_says_so_and_what_it_is() -> None:
    answer = await ask(make({"database": well, "redis": well}))
    document = answer.json()
    assert answer.status_code == 200
    assert (document["status"], document["version"], document["environment"]) == ("healthy", "1.2.3", "development")
    assert document["services"] == {"database": "healthy", "redis": "healthy"}
    assert document["checks"]["database"]["status"] == "healthy"
    assert document["checks"]["database"]["latency_ms"] >= 0
    assert document["timestamp"].endswith("Z")
    assert not document["draining"]


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
async def test_a_needed_part_that_fails_is_503(path: str) -> None:
    answer = await ask(make({"database": well, "redis": gone}), path)
    document = answer.json()
    assert answer.status_code == 503
    assert document["status"] == "unhealthy"
    assert document["services"] == {"database": "healthy", "redis": "unhealthy"}
    assert document["checks"]["redis"]["detail"] == "Redis at cache:6379 does not answer (ConnectionError)."


async def test_a_part_that_the_server_can_do_without_degrades_it() -> None:
    answer = await ask(make({"database": well, "redis": gone}, optional={"redis"}))
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


async def test_a_part_that_does_not_answer_costs_its_time_and_no_more() -> None:
    answer = await ask(make({"one": hanging, "two": hanging}, timeout=0.05))
    assert answer.status_code == 503
    assert answer.json()["checks"]["one"]["detail"] == "No answer within 0.05 s."
    assert answer.json()["checks"]["one"]["latency_ms"] < 2000


async def test_an_address_with_its_password_does_not_leak() -> None:
    answer = await ask(make({"database": broken}))
    assert answer.json()["checks"]["database"]["detail"] == "OSError"
    assert "canary" not in answer.text


async def test_a_stopping_server_is_alive_and_not_ready() -> None:
    service = make({"database": well})
    service.drain()
    answer = await ask(service, "/health/ready")
    assert (answer.status_code, answer.json()["draining"]) == (503, True)
    assert (await ask(service, "/health/live")).json() == {"status": "alive"}


async def test_the_process_is_alive_though_its_parts_are_not() -> None:
    assert (await ask(make({"database": hanging}), "/health/live")).status_code == 200


async def test_many_who_ask_at_once_are_one_question_to_the_parts() -> None:
    asked = 0

    async def counting() -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)

    service = make({"database": counting}, kept=60.0)
    await asyncio.gather(*(service.report() for _ in range(50)))
    assert asked == 1


async def test_a_failing_part_is_logged_once_and_again_when_it_is_well() -> None:
    failing = True

    async def sometimes() -> None:
        if failing:
            raise Unavailable("It is away.")

    service = make({"database": sometimes})
    with logged("INFO") as records:
        for _ in range(3):
            await service.report()
        failing = False
        await service.report()
    assert [record["level"].name for record in records] == ["ERROR", "INFO"]
