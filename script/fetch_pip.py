"""Fetch pip's wheel into a folder and print its path: for a Python that has neither pip nor ensurepip.

`python pip-….whl/pip install …` then runs it without installing it. The index is `PIP_INDEX_URL`, or else the one
that uv.lock names. Runs on any Python from 3.8, with the standard library alone.
"""

import hashlib
import os
import re
import sys
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from typing import List, Optional, Tuple
from urllib.parse import urljoin

TIMEOUT = 60


def index_url() -> str:
    """Return the address of the package index, with a slash at its end."""
    lock = Path(__file__).resolve().parent.parent / "uv.lock"
    named = re.search(r'registry = "([^"]+)"', lock.read_text("utf-8"))
    url = os.environ.get("PIP_INDEX_URL") or (named.group(1) if named else "")
    if not url.startswith("https://"):
        sys.exit("No package index with https is known: set PIP_INDEX_URL.")
    return url.rstrip("/") + "/"


class LinkReader(HTMLParser):
    """Collects the addresses of a project's page of the index (PEP 503), but for files that were taken back."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        found = dict(attrs)
        if tag == "a" and found.get("href") and "data-yanked" not in found:
            self.links.append(str(found["href"]))


def fetch(url: str) -> bytes:
    """Return the body at `url`."""
    request = urllib.request.Request(url, headers={"Accept": "text/html, */*;q=0.1"})  # noqa: S310  # see index_url
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
        body: bytes = answer.read()
    return body


def main(folder: Path) -> None:
    """Write the newest released wheel of pip into `folder` and print its path."""
    page = urljoin(index_url(), "pip/")
    reader = LinkReader()
    reader.feed(fetch(page).decode())
    wheels = {}
    for link in reader.links:
        match = re.search(r"/(pip-(\d+)\.(\d+)(?:\.(\d+))?-py3-none-any\.whl)#sha256=([0-9a-f]{64})$", link)
        if match:
            wheels[tuple(int(part or 0) for part in match.group(2, 3, 4))] = (link, match[1], match[5])
    if not wheels:
        sys.exit(f"{page} has no wheel of pip.")
    link, name, digest = wheels[max(wheels)]
    body = fetch(urljoin(page, link))
    if hashlib.sha256(body).hexdigest() != digest:
        sys.exit(f"{name} is not what the index says it is.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(body)
    print(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
