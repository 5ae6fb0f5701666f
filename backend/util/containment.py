"""Whether a JSON document contains another, as PostgreSQL's `jsonb @>` says (PostgreSQL manual, 8.14.3)."""

from collections.abc import Mapping
from typing import Any

Filters = Mapping[str, Any] | None
"""What a row's metadata must pass: a value, `{"$eq": value}` or `{"$contains": value}` by key; None lets all pass."""


def contains(document: Any, wanted: Any) -> bool:
    """Return whether `wanted` is in `document`: objects by key, arrays as sets, everything else by value.

    An array contains a bare scalar too, at the top alone.
    """
    if isinstance(document, list) and not isinstance(wanted, list | dict):
        return any(_equal(item, wanted) for item in document)
    return _contains(document, wanted)


def passes(metadata: Mapping[str, Any], filters: Filters) -> bool:
    """Return whether a row with this metadata may be seen."""
    if not filters:
        return True
    return all(key in metadata and _passes(metadata[key], wanted) for key, wanted in filters.items())


def plain_filters(filters: Filters) -> list[tuple[str, str, Any]]:
    """Return filters as (key, operator, value); the operator is `$eq` or `$contains`.

    Raises:
        ValueError: an operator is another.
    """
    found = []
    for key, wanted in (filters or {}).items():
        if not (isinstance(wanted, dict) and wanted and all(str(name).startswith("$") for name in wanted)):
            found.append((key, "$eq", wanted))
            continue
        for operator, value in wanted.items():
            if operator not in {"$eq", "$contains"}:
                raise ValueError(f"There is no filter {operator!r}; there are $eq and $contains.")
            found.append((key, operator, value))
    return found


def _passes(value: Any, wanted: Any) -> bool:
    for _, operator, asked in plain_filters({"": wanted}):
        if operator == "$eq" and not _equal(value, asked):
            return False
        if operator == "$contains" and not (isinstance(value, list) and _all_in(value, asked)):
            return False
    return True


def _all_in(values: list[Any], asked: Any) -> bool:
    return _contains(values, asked if isinstance(asked, list) else [asked])


def _contains(document: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(document, dict) and all(
            key in document and _contains(document[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(document, list) and all(any(_contains(item, one) for item in document) for one in wanted)
    return _equal(document, wanted)


def _equal(one: Any, other: Any) -> bool:
    """JSON's equality: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)
