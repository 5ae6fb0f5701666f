"""Webhooks of a platform: a hint that tickets changed, and nothing more.

Freshdesk signs nothing, so a secret in a header says that a webhook is ours to hear; it may come twice, late, and in
any order. What stands in it is never believed: the tickets are read again through the API.
"""

import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl

from backend.core.error import DomainError, Invalid, TooLarge, Unauthorized
from backend.database.base import Database
from backend.repository.installation import AllInstallations, InstallationRepository, Kept, PlatformEventRepository
from backend.service.installation_secret import InstallationSecrets

MAX_BYTES = 64 * 1024
MAX_SECRET = 200
MAX_TICKETS = 100
KEEP = timedelta(days=7)
"""For which webhooks are remembered; Freshdesk tries again for a day."""
SWEPT_AT_ONCE = 500
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_XML_TICKET = re.compile(
    # Possessive: a body of spaces would otherwise be tried at each pair of places, for a minute.
    r"<ticket[_-]id(?:\s[^<>]*)?>\s*+(?:<!\[CDATA\[\s*+)?+#?(\d{1,19}+)\s*+(?:\]\]>\s*+)?+</ticket[_-]id>"
)
_XML_CHANGED = re.compile(r"<ticket[_-]updated[_-]at(?:\s[^<>]*)?>([^<>]{1,40})</")
_NUMBER = re.compile(r"#?(\d{1,19})")
_EXACT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)")
_WRAPPER = "freshdesk_webhook"
_WRONG = "The webhook's secret is wrong."

OnChanged = Callable[[str, str, Sequence[str]], Awaitable[object]]
"""Reads tickets of a tenant's platform again, soon."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What a webhook says: which tickets, and where it says so exactly, when they changed."""

    tickets: tuple[str, ...]
    changed_at: str | None


class PlatformWebhookService:
    """Hears webhooks."""

    def __init__(
        self,
        database: Database,
        secrets: InstallationSecrets,
        clock: Callable[[], datetime],
        *,
        on_changed: OnChanged,
        is_active: Callable[[str], Awaitable[bool]],
    ) -> None:
        """`is_active` is false of a tenant that is suspended."""
        self._database = database
        self._is_active = is_active
        self._secrets = secrets
        self._clock = clock
        self._on_changed = on_changed
        self._nobody: Kept | None = None

    async def take(self, tenant_id: str, platform: str, secret: str | None, body: bytes) -> tuple[str, ...]:
        """Have the tickets of a webhook read again, and return them; none for one that came before.

        Only a webhook that says exactly when its ticket changed can be told from the next one about the same ticket.
        Any other is always followed: to read a ticket once too often does no harm.

        Raises:
            Unauthorized: the secret is not that of the tenant's installation, or there is none; or the tenant is
                suspended.
            TooLarge: the body is larger than `MAX_BYTES`.
            Invalid: it names no ticket.
        """
        await self._authenticate(tenant_id, platform, secret or "")
        if len(body) > MAX_BYTES:
            raise TooLarge(f"The body is larger than {MAX_BYTES} bytes.", limit=MAX_BYTES)
        hint = read_hint(body)
        if not hint.tickets:
            raise Invalid("The webhook names no ticket: it needs freshdesk_webhook.ticket_id.")
        key = sha256(f"{','.join(hint.tickets)}|{hint.changed_at}".encode()).hexdigest() if hint.changed_at else None
        if key is not None and await self._database.read(
            lambda connection: PlatformEventRepository(connection, tenant_id).seen(platform, key)
        ):
            return ()
        await self._on_changed(tenant_id, platform, hint.tickets)
        if key is not None:  # only now: one that was cut off here is followed when it comes again
            await self._remember(tenant_id, platform, key)
        return hint.tickets

    async def _authenticate(self, tenant_id: str, platform: str, secret: str) -> None:
        """Compare a secret; for a tenant that does not exist, with as much work as for one that does."""
        valid = bool(_TENANT.fullmatch(tenant_id))
        asked = tenant_id if valid else "nobody"
        kept = await self._database.read(lambda connection: InstallationRepository(connection, asked).find(platform))
        if kept is not None and kept.installation.status == "uninstalled":
            kept = None
        known = kept is not None and valid
        right = self._right(kept) if kept is not None and known else self._right(self._dummy())
        same = hmac.compare_digest(right.encode(), secret[:MAX_SECRET].encode("utf-8", "replace"))
        if not (same and known and len(secret) <= MAX_SECRET and await self._is_active(tenant_id)):
            raise Unauthorized(_WRONG)

    def _right(self, kept: Kept) -> str:
        try:
            return self._secrets.webhook_secret(kept)
        except DomainError:
            raise Unauthorized(_WRONG) from None  # it cannot be read, and so cannot be right

    def _dummy(self) -> Kept:
        if self._nobody is None:
            self._nobody = self._secrets.nobody(self._clock())
        return self._nobody

    async def _remember(self, tenant_id: str, platform: str, key: str) -> None:
        now = self._clock()
        await self._database.write(lambda c: PlatformEventRepository(c, tenant_id).add(platform, key, now))

    async def sweep(self) -> None:
        """Forget the webhooks that came long ago."""
        before = self._clock() - KEEP
        while await self._database.write(
            lambda c: AllInstallations(c).forget_events(before, SWEPT_AT_ONCE), durable=False
        ):
            pass


def read_hint(body: bytes) -> Hint:
    """Return what a body of JSON, a form or XML says; one that cannot be read says nothing."""
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("<"):
        changed = _XML_CHANGED.search(text)
        return _hint(_XML_TICKET.findall(text), changed[1] if changed else None)
    if text.startswith(("{", "[")):
        return _of_json(text)
    try:
        fields = dict(parse_qsl(text, max_num_fields=200))
    except ValueError:
        return Hint((), None)
    if _WRAPPER in fields:
        return _of_json(fields[_WRAPPER])
    plain = {name.removeprefix(f"{_WRAPPER}[").removesuffix("]"): value for name, value in fields.items()}
    return _hint([plain.get("ticket_id")], plain.get("ticket_updated_at") or plain.get("updated_at"))


def _of_json(text: str) -> Hint:
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError):
        return Hint((), None)
    items = [_inner(item) for item in (data if isinstance(data, list) else [data])]
    changed = [item.get("ticket_updated_at") or item.get("updated_at") for item in items]
    return _hint([number for item in items for number in _numbers(item)], changed[0] if len(items) == 1 else None)


def _inner(item: Any) -> dict[str, Any]:
    fields = item if isinstance(item, dict) else {}
    inner = fields.get(_WRAPPER)
    return inner if isinstance(inner, dict) else fields


def _numbers(item: dict[str, Any]) -> Iterator[Any]:
    yield item.get("ticket_id")
    several = item.get("ticket_ids")
    yield from several if isinstance(several, list) else ()


def _hint(numbers: Sequence[Any], changed_at: Any) -> Hint:
    found = []
    for number in numbers:
        match = _NUMBER.fullmatch(str(number)) if isinstance(number, int | str) and number is not True else None
        if match is not None and 0 < int(match[1]) < 2**63:
            found.append(str(int(match[1])))
    tickets = tuple(dict.fromkeys(found))[:MAX_TICKETS]
    exact = changed_at if isinstance(changed_at, str) and _EXACT.fullmatch(changed_at) else None
    return Hint(tickets, exact)
