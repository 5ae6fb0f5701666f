"""Cursors of lists."""

import base64
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.util.cursor import decode_cursor, encode_cursor


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_gives_back_what_it_was_made_of(moment: datetime, row_id: UUID) -> None:
    assert decode_cursor(encode_cursor(moment, row_id)) == (moment, row_id)


@given(st.text() | st.binary(min_size=24, max_size=24).map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_anything_else_is_refused_or_a_moment(text: str) -> None:
    try:
        moment, _ = decode_cursor(text)
    except ValueError:
        return
    assert moment.tzinfo is UTC


def test_a_cursor_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="length"):
        decode_cursor("AAAA")
