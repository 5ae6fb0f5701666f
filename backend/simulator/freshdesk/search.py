r"""The query language of `GET /search/tickets`: `"priority:>2 AND (status:2 OR tag:'refund')"`.

There is no search in subjects or texts, as there is none at Freshdesk.
"""

import re
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
Test = Callable[[Json], bool]
_LIMIT = 512
_WORD = re.compile(r"\s*(?:(?P<paren>[()])|(?P<name>\w+):(?P<op>[<>]?)(?P<value>'[^']*'|[\w.+-]+)|(?P<join>AND|OR)\b)")
_NUMBERS = {"agent_id": "responder_id", "group_id": "group_id", "priority": "priority", "status": "status"}
_TIMES = {"created_at", "updated_at", "due_by", "fr_due_by"}


class BadQuery(ValueError):
    """The query cannot be read."""


def parse_query(query: str) -> Test:
    """Return a test of tickets.

    Raises:
        BadQuery: not in double quotes, too long, an unknown field, or no sentence of the language.
    """
    if len(query) < 2 or query[0] != '"' or query[-1] != '"' or len(query) > _LIMIT + 2:
        raise BadQuery(query)
    parser = _Parser(_words(query[1:-1]))
    test = parser.either()
    if parser.words:
        raise BadQuery(query)
    return test


def _words(text: str) -> list[re.Match[str]]:
    words, position = [], 0
    while position < len(text.rstrip()):
        word = _WORD.match(text, position)
        if word is None:
            raise BadQuery(text)
        words.append(word)
        position = word.end()
    return words


class _Parser:
    def __init__(self, words: list[re.Match[str]]) -> None:
        self.words = words

    def either(self) -> Test:
        tests = [self.both()]
        while self.words and self.words[0]["join"] == "OR":
            self.words.pop(0)
            tests.append(self.both())
        return lambda ticket: any(test(ticket) for test in tests)

    def both(self) -> Test:
        tests = [self.one()]
        while self.words and self.words[0]["join"] == "AND":
            self.words.pop(0)
            tests.append(self.one())
        return lambda ticket: all(test(ticket) for test in tests)

    def one(self) -> Test:
        if not self.words:
            raise BadQuery
        word = self.words.pop(0)
        if word["paren"] == "(":
            test = self.either()
            if not self.words or self.words.pop(0)["paren"] != ")":
                raise BadQuery
            return test
        if not word["name"]:
            raise BadQuery
        return _test(word["name"], word["op"], word["value"])


def _test(name: str, op: str, value: str) -> Test:
    text = value.strip("'")
    if name == "tag":
        return lambda ticket: text in ticket["tags"]
    if name in _NUMBERS:
        if value != "null" and not re.fullmatch(r"-?\d+", value):
            raise BadQuery(name)
        return _compare(lambda ticket: ticket[_NUMBERS[name]], op, None if value == "null" else int(value))
    if name in _TIMES:  # a day, or a moment: both sort as text; `:` asks for the day
        if not op:
            return lambda ticket: (ticket[name] or "").startswith(text)
        return _compare(lambda ticket: (ticket[name] or "")[: len(text)], op, text)
    if name == "type":
        return lambda ticket: ticket["type"] == (None if value == "null" else text)
    if name.startswith("cf_"):
        return _compare(lambda ticket: ticket["custom_fields"].get(name), op, None if value == "null" else text)
    raise BadQuery(name)


def _compare(read: Callable[[Json], Any], op: str, value: Any) -> Test:
    # The bounds of the language are inclusive: `:>2` is 2 or more.
    if op == ">":
        return lambda ticket: (found := read(ticket)) is not None and found >= value
    if op == "<":
        return lambda ticket: (found := read(ticket)) is not None and found <= value
    return lambda ticket: bool(read(ticket) == value)
