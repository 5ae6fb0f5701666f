"""Links to files that work for a while, as a storage in Amazon's manner gives and refuses them."""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import Response

from backend.simulator.freshdesk.account import Account

PATH = "/cdn.freshdesk.com/data/helpdesk/attachments/production/"
"""Where the files are, beside the API: the links bear their own signature, and no key is to be sent there."""
_FILE = re.compile(re.escape(PATH) + r"(\d+)/original/(.+)")
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>'


class Storage:
    """The files of some accounts, by links signed with a key that nobody else has."""

    def __init__(self, accounts: list[Account], *, clock: Callable[[], datetime], link_seconds: float) -> None:
        """Take the accounts, and how long a link lives where a file does not say."""
        self._accounts = accounts
        self._clock = clock
        self._link_seconds = link_seconds
        self._key = b"the simulator's own storage"

    def sign(self, account: Account, attachment: dict[str, Any], origin: str) -> dict[str, Any]:
        """Return an attachment with a link that works from now on, for a while."""
        file = account.files.get(attachment["id"])
        life = self._link_seconds if file is None or file.link_seconds is None else file.link_seconds
        date = f"{self._clock().timestamp():.3f}"
        path = f"{PATH}{attachment['id']}/original/{quote(attachment['name'])}"
        query = urlencode(
            {
                "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                "X-Amz-Date": date,
                "X-Amz-Expires": f"{life:g}",
                "X-Amz-Signature": self._signature(attachment["id"], date, f"{life:g}"),
            }
        )
        return {**attachment, "attachment_url": f"{origin}{path}?{query}"}

    def answer(self, path: str, query: Mapping[str, str]) -> Response:
        """Return a file's bytes, or why not."""
        match = _FILE.fullmatch(path)
        if match is None:
            return _refuse(404, "NoSuchKey", "The specified key does not exist.")
        number = int(match[1])
        date, life = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
        if not hmac.compare_digest(self._signature(number, date, life), query.get("X-Amz-Signature", "")):
            return _refuse(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
        now = self._clock().timestamp()
        if now > float(date) + float(life):
            more = f"<X-Amz-Expires>{life}</X-Amz-Expires><ServerTime>{self._clock().isoformat()}</ServerTime>"
            return _refuse(403, "AccessDenied", "Request has expired", more)
        for account in self._accounts:
            file = account.files.get(number)
            if file is not None and file.content is not None:
                name = {"content-disposition": f"attachment; filename*=UTF-8''{quote(file.name)}"}
                return Response(file.content, 200, name, file.content_type)
        return _refuse(404, "NoSuchKey", "The specified key does not exist.")

    def _signature(self, number: int, date: str, life: str) -> str:
        return hmac.new(self._key, f"{number}|{date}|{life}".encode(), hashlib.sha256).hexdigest()


def _refuse(status: int, code: str, message: str, more: str = "") -> Response:
    return Response(_XML.format(code=code, message=message, more=more), status, media_type="application/xml")
