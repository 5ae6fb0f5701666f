"""Statements of the hot path, compiled once.

SQLAlchemy's execution of a Core statement costs several times what SQLite needs for it. A prepared statement goes past
that on SQLite, with the same SQL and the same conversion of parameters; on PostgreSQL, where the way to the server is
what costs, it is an ordinary execution.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Connection
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import IntegrityError

Params = Mapping[str, Any]


class Prepared:
    """One statement; it returns only plain types (text, numbers, bytes), since SQLite's rows come as they are."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._sql = ""
        self._constants: dict[str, Any] = {}
        self._convert: dict[str, Callable[[Any], Any]] = {}

    def run(self, connection: Connection, params: Params | Sequence[Params]) -> Sequence[Any]:
        """Execute it, with many parameter sets if given, and return its rows.

        Raises:
            IntegrityError: SQLAlchemy's, on both databases.
        """
        if connection.dialect.name != "sqlite":
            result = connection.execute(self._statement, params)  # type: ignore[call-overload]
            return result.all() if result.returns_rows else ()
        if not self._sql:
            self._compile(connection.dialect)
        raw: Any = connection.connection.dbapi_connection
        try:
            if isinstance(params, Mapping):
                rows: Sequence[Any] = raw.execute(self._sql, self._bind(params)).fetchall()
                return rows
            raw.executemany(self._sql, [self._bind(one) for one in params])
        except sqlite3.IntegrityError as error:
            raise IntegrityError(self._sql, None, error) from error
        return ()

    def _compile(self, dialect: Dialect) -> None:
        named = sqlite.dialect(paramstyle="named")
        # The names of an INSERT's columns are its parameters when it has no values of its own.
        compiled = self._statement.compile(dialect=named)
        for name, bind in compiled.binds.items():  # type: ignore[attr-defined]
            convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if convert is not None:
                self._convert[name] = convert
            if not bind.required and bind.value is not None:
                self._constants[name] = convert(bind.value) if convert is not None else bind.value
        self._sql = str(compiled)

    def _bind(self, params: Params) -> dict[str, Any]:
        bound = dict(self._constants)
        convert = self._convert
        for name, value in params.items():
            bound[name] = convert[name](value) if name in convert else value
        return bound
