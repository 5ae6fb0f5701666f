"""The health of a whole server."""

import gc
import json
import weakref
from pathlib import Path

import httpx

from backend.config.setting import Settings
from backend.container import Container
from backend.main import create_app, create_asgi, lifespan


async def test_every_part_is_told_and_a_graph_that_cannot_be_loaded_degrades(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('no')", encoding="utf-8")
    config = tmp_path / "langgraph.json"
    config.write_text(json.dumps({"graphs": {"broken": "./broken.py:graph"}}), encoding="utf-8")
    settings = Settings(
        _env_file=None,
        data_dir=tmp_path / "data",
        sample_corpus=False,
        extension_dir=tmp_path / "extension",
        graph_config=config,
    )
    app = create_app(Container(settings=settings))
    async with lifespan(app):
        transport = httpx.ASGITransport(app=create_asgi(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.get("/health")
            agents = await client.get("/api/v1/agents")

    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "degraded"
    assert body["services"] == {"database": "healthy", "chroma": "healthy", "agents": "unhealthy"}
    assert "broken" in body["checks"]["agents"]["detail"]
    assert "answer" in agents.text


async def test_what_was_closed_is_given_back(tmp_path: Path) -> None:
    """A process that outlives an application (another one's, a test's) is not left with its parts."""

    async def live() -> weakref.ref[object]:
        app = create_app(Container(settings=Settings(_env_file=None, data_dir=tmp_path, sample_corpus=False)))
        async with lifespan(app):
            return weakref.ref(app)

    closed = await live()
    gc.collect()
    assert closed() is None
