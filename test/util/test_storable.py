"""What both databases can hold, and the text of HTML."""

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.util.plain_text import plain_text
from backend.util.storable import storable_json, storable_text

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)) | st.integers(), inner),
    max_leaves=20,
)


@given(ANYTHING)
def test_json_of_anything_is_readable_and_holds_nothing_that_a_database_refuses(value: Any) -> None:
    made = storable_json(value)
    assert b"\\u0000" not in made.replace(b"\\\\", b"")
    assert storable_json(orjson.loads(made)) == made


@given(st.text(st.characters(codec=None)))
def test_text_is_utf_8_without_nul_and_ordinary_text_stays(text: str) -> None:
    kept = storable_text(text)
    assert "\0" not in kept
    assert kept.encode().decode() == kept
    if "\0" not in text and all(not 0xD800 <= ord(each) <= 0xDFFF for each in text):
        assert kept == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>안녕하세요</p><p>1 &lt; 2 &amp; 3</p>", "안녕하세요\n1 < 2 & 3"),
        ("a<br>b<script>alert('x')</script>c<STYLE>p{}</STYLE >d", "a\nbcd"),
        ("plain & simple 1 < 2", "plain & simple 1 < 2"),
        ("<b>굵</b>은", "굵은"),
        ("", ""),
    ],
)
def test_html_becomes_its_text(html: str, text: str) -> None:
    assert plain_text(html, 1000) == text


@pytest.mark.parametrize("hostile", ["<", "<a", "<!--", "<script>", "</", "&lt", "<p\n", "\n \n"])
def test_the_text_of_a_megabyte_of_anything_is_found_at_once(hostile: str) -> None:
    began = time.process_time()
    assert len(plain_text(hostile * (1_000_000 // len(hostile)), 200_000)) <= 200_000
    assert time.process_time() - began < 2
