"""Without authentication: the server answers to this machine's own names alone, and to no other site's pages."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from test.hostile.target import ROOT, Target, attacked, refused

STRANGE_HOSTS = (
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "127.0.0.2",
    "0.0.0.0",
    "0",
    "2130706433",
    "0x7f.1",
    "[::]",
    "[::ffff:127.0.0.1]",
    "localhost:8000@evil.example",
    "localhost, evil.example",
    "evil.example#localhost",
)
STRANGE_ORIGINS = (
    "https://evil.example",
    "null",
    "http://localhost.evil.example",
    "http://localhost:1.evil.example",
    "http://localhost:123456",
    "http://localhost:",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.2",
    "http://127a0a0a1",
    "http://user@localhost",
    "http://localhost/",
    "https://evil.example#http://localhost",
    "file://",
    "ftp://localhost",
    "chrome-extension://abc",
)


@pytest.fixture(scope="module")
def open_server() -> Iterator[Target]:
    with (
        TemporaryDirectory(prefix="daedap-open-") as folder,
        attacked(Path(folder), AUTH_MODE="disabled", CORS_ORIGINS="https://friend.example") as target,
    ):
        yield target


def test_it_answers_to_no_other_host_name(open_server: Target) -> None:
    with open_server.client(None) as client:
        for host in STRANGE_HOSTS:
            for path in ("/api/v1/threads", "/", "/openapi.json", "/v1/models", "/socket.io/?EIO=4&transport=polling"):
                answer = client.get(path, headers=[(b"Host", host.encode())])
                assert answer.status_code in {400, 403}, (host, path, answer.status_code)
        for host in ("localhost", "LOCALHOST:80", "127.0.0.1", f"127.0.0.1:{open_server.port}", "[::1]:80"):
            assert client.get("/api/v1/threads", headers={"Host": host}).status_code == 200
    open_server.check()


async def test_it_answers_to_no_other_sites_pages(open_server: Target) -> None:
    with open_server.client(None) as client:
        for origin in STRANGE_ORIGINS:
            for method, path in (
                ("POST", "/api/v1/chat"),
                ("GET", "/api/v1/threads"),
                ("GET", "/socket.io/?EIO=4&transport=polling"),
            ):
                answer = client.request(method, path, headers={"Origin": origin})
                refused(answer, 403)
                assert "access-control-allow-origin" not in answer.headers
            with pytest.raises(InvalidStatus) as refusal:
                await connect(open_server.ws_url, origin=origin)  # type: ignore[arg-type]  # an origin
            assert refusal.value.response.status_code == 403
            ask = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            assert client.options("/api/v1/chat", headers=ask).status_code in {400, 403}
        # A form of another page needs no preflight: it is the origin that stops it.
        form = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
        refused(client.post("/api/v1/chat", content=b'{"message": "hi", "agent": "echo"}', headers=form), 403)
        own = client.get("/api/v1/threads", headers={"Origin": open_server.url})
        assert own.status_code == 200
        # Those of CORS_ORIGINS may, and those that this machine serves: a chat page under development.
        for origin in ("https://friend.example", "http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]"):
            friend = client.get("/api/v1/threads", headers={"Origin": origin})
            assert friend.headers["access-control-allow-origin"] == origin
    open_server.check()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_it_does_not_start_where_other_machines_reach_it(tmp_path: Path, host: str) -> None:
    from backend.config.setting import SettingError, load_settings

    with pytest.raises(SettingError, match="AUTH_MODE"):
        load_settings(_env_file=None, host=host, auth_mode="disabled")


def test_a_wrong_setting_stops_the_process_and_shows_no_secret(tmp_path: Path) -> None:
    secret = "canary-in-a-wrong-setting"
    ended = subprocess.run(
        [sys.executable, "-m", "backend.main"],
        cwd=tmp_path,
        env={
            "PYTHONPATH": str(ROOT),
            "AUTH_MODE": "token",
            "ACCESS_TOKEN": secret,
            "TENANT_TOKENS": f'{{"other": "{secret}"}}',
            "OPENAI_API_KEY": secret,
            "DATABASE_URL": f"postgresql://u:{secret}@127.0.0.1:1/x",
            "PORT": "never",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 2
    assert "PORT" in ended.stderr
    assert secret not in ended.stdout + ended.stderr
