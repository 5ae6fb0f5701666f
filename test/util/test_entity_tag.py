"""What a client says that it has (RFC 9110 §13.1.2)."""

import pytest

from backend.util.entity_tag import has_already


@pytest.mark.parametrize("said", ['"a"', 'W/"a"', "*", ' "x" , "a"', '"x",W/"a","y"', '"x", "a", W/"y"', '"x,y", "a"'])
def test_a_tag_is_found_in_whatever_form_it_is_sent(said: str) -> None:
    assert has_already(said, '"a"')
    assert has_already(said, 'W/"a"')


@pytest.mark.parametrize("said", [None, "", '"A"', "a", '"a', 'w/"b"', '"x, a"', '"aa"', "**"])
def test_what_names_another_one_or_none_is_not_had(said: str | None) -> None:
    assert not has_already(said, '"a"')
