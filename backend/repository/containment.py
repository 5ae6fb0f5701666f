"""Containment in SQL: PostgreSQL's `@>`, and on SQLite a function of ours (`database/sqlite.py` registers it).

What is looked for is always a parameter: no key and no value of a caller stands in SQL or in a JSON path.
"""

from typing import Any

from sqlalchemy import Boolean, Column, ColumnElement, Connection, and_, func, literal, type_coerce
from sqlalchemy.dialects.postgresql import JSONB

from backend.core.error import Invalid
from backend.database.base import dump_json
from backend.util.containment import Filters, plain_filters


def contained(connection: Connection, column: Column[Any], wanted: Any) -> ColumnElement[bool]:
    """The condition that a JSON column contains `wanted`.

    Raises:
        Invalid: `wanted` is not JSON.
    """
    if connection.dialect.name == "postgresql":
        return type_coerce(column, JSONB).contains(literal(wanted, JSONB()))
    return func.json_contains(column, _json(wanted), type_=Boolean) == literal(1)


def passing(connection: Connection, column: Column[Any], filters: Filters) -> ColumnElement[bool] | None:
    """The condition that a row's metadata pass the filters of an authorization handler; None when all do.

    Raises:
        Invalid: a filter has an operator that does not exist.
    """
    if not filters:
        return None
    if connection.dialect.name != "postgresql":
        return func.json_passes(column, _json(dict(filters)), type_=Boolean) == literal(1)
    conditions: list[ColumnElement[bool]] = []
    try:
        wanted = plain_filters(filters)
    except ValueError as error:
        raise Invalid(str(error)) from None
    for key, operator, value in wanted:
        if operator == "$eq":
            conditions.append(type_coerce(column, JSONB)[key] == literal(value, JSONB()))
        else:
            asked = value if isinstance(value, list) else [value]
            conditions.append(type_coerce(column, JSONB).contains(literal({key: asked}, JSONB())))
    return and_(*conditions)


def _json(value: Any) -> str:
    try:
        return dump_json(value)
    except TypeError as error:
        raise Invalid(f"The filter is not JSON: {error}.") from None
