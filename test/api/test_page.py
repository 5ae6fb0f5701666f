"""The page at `/`."""

import base64
import re
from hashlib import sha256
from pathlib import Path

import httpx

from test.door_fixture import Door

FILE = Path(__file__).resolve().parents[2] / "backend" / "page" / "index.html"


async def test_the_page_needs_no_token_and_allows_only_its_own_script(door: Door) -> None:
    async with httpx.AsyncClient(base_url=door.url, timeout=60) as visitor:
        answer = await visitor.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for tag in ("script", "style"):
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        assert len(found) == 1
        digest = base64.b64encode(sha256(found[0].encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"


async def test_the_page_is_not_sent_twice(door: Door) -> None:
    first = await door.http.get("/")
    again = await door.http.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_icon_is_there(door: Door) -> None:
    assert (await door.http.get("/favicon.ico")).headers["content-type"] == "image/svg+xml"


def test_the_page_asks_nothing_of_the_outside_and_writes_no_html() -> None:
    text = FILE.read_text("utf-8")
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", text)
    assert not re.findall(r"@import|url\(", text)
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert word not in text
    assert not re.findall(r"\son\w+=\"", text)
    assert not re.findall(r"\sstyle=\"", text)


def test_every_word_is_there_in_both_languages() -> None:
    text = FILE.read_text("utf-8")
    english, korean = re.findall(r"^  (?:en|ko): \{(.*?)^  \},", text, re.DOTALL | re.MULTILINE)
    keys = [set(re.findall(r"(?:^|[,{]\s)\s*(\w+): [\"(\[]", part, re.MULTILINE)) for part in (english, korean)]
    assert keys[0] == keys[1]
    used = set(re.findall(r"data-t=\"(\w+)\"", text)) | set(re.findall(r"\bt\(\"(\w+)\"\)", text))
    assert used <= keys[0]
