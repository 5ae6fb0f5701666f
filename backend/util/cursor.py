"""Where a page of a list ended: opaque to clients, a moment and an id inside."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIZE = 24


def encode_cursor(moment: datetime, row_id: UUID) -> str:
    """Return 32 letters that sort nothing and mean nothing outside."""
    micros = (moment - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(micros.to_bytes(8, signed=True) + row_id.bytes).decode()


def decode_cursor(cursor: str) -> tuple[datetime, UUID]:
    """Return what `encode_cursor` was given.

    Raises:
        ValueError: it was made by something else.
    """
    try:
        data = base64.b64decode(cursor, altchars=b"-_", validate=True)
        if len(data) != _SIZE:
            raise ValueError("the length is wrong")
        moment = _EPOCH + timedelta(microseconds=int.from_bytes(data[:8], signed=True))
    except (binascii.Error, OverflowError) as error:
        raise ValueError(str(error)) from error
    return moment, UUID(bytes=data[8:])
