"""The search for threads, as quick among ten thousand as among a hundred.

Either few threads can match, and those are looked up and sorted; or many do, and the newest of them are soon met on the
way through an index that has the wanted order. Which of the two it is, is asked first: each thing that is wanted is
counted up to `FEW`.

The statements are put together of constant parts, each known by its text after the first time: SQLAlchemy's
expressions cost more than the search. What a caller wants is always a parameter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, Text, column, text

from backend.core.error import Invalid
from backend.database.base import dump_json
from backend.database.prepared import Prepared
from backend.dto.thread import Thread, ThreadQuery, ThreadState
from backend.repository.scope import Scoped
from backend.repository.thread import COLUMNS, LARGE, as_column, slim, state_of, thread_of
from backend.util.containment import Filters, plain_filters
from backend.util.metadata_term import OVERFLOW, wanted_lines

FEW = 200
"""Most threads that are looked up one by one."""
MANY = 5000
"""Most threads that are looked up one by one to be counted: no order is wanted of them."""
SHAPES = 512
"""Statements that are remembered."""

_SLIM = ", ".join(f"threads.{one.name}" for one in slim)
_WHOLE = f"{_SLIM}, {', '.join(f'CAST(threads."{name}" AS TEXT) AS "{name}"' for name in LARGE)}"
_LARGE_COLUMNS = [column(name, Text) for name in LARGE]
_LINE = "SELECT thread_id FROM thread_metadata WHERE tenant_id = :tenant AND path = :{0}_path AND value = :{0}_value"
_HAS_LINE = (
    "EXISTS (SELECT 1 FROM thread_metadata AS line WHERE line.tenant_id = :tenant AND line.path = :{0}_path"
    " AND line.value = :{0}_value AND line.thread_id = threads.thread_id)"
)
_COUNT = "SELECT count(*) FROM threads WHERE tenant_id = :tenant"


@dataclass(frozen=True, slots=True)
class _Ask:
    """One thing that is wanted of a thread, and that an index knows."""

    ids: str
    """Selects the threads that have it, by that index."""
    walked: str
    """Says it of a thread that another index has led to."""
    is_line: bool = False
    """Whether a thread with too many lines may have it too."""


@dataclass(slots=True)
class _Plan:
    """A search taken apart: `asks` that an index knows, and `checks` that must be made on each thread besides."""

    params: dict[str, Any]
    asks: list[_Ask] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    line_checks: list[str] = field(default_factory=list)
    """To be made where the asks do not say it: a thread has more lines than are kept, or its lines are not asked."""
    counts: list[int] = field(default_factory=list)
    """How many threads answer each of the asks, as far as it was counted."""
    overflow: int = 0
    """How many threads have more lines than are kept, as far as it was counted."""


class ThreadSearch(Scoped):
    """The threads of one tenant."""

    def __init__(self, connection: Connection, tenant_id: str, hidden: Sequence[str] = ()) -> None:
        """Bind the tenant; threads of the graphs `hidden` (`Principal.hidden`) are not found."""
        super().__init__(connection, tenant_id)
        self._hidden = hidden
        self._is_sqlite = connection.dialect.name == "sqlite"

    def page(
        self, query: ThreadQuery, *, limit: int, offset: int = 0, only: Filters = None, state: bool = True
    ) -> list[tuple[Thread, ThreadState]]:
        """Return threads in the order of the query; with `state` False without what their last runs left.

        Raises:
            Invalid: what is looked for is not JSON.
        """
        plan = self._plan(query, only)
        found = f"{self._ids(query, plan)} LIMIT :limit OFFSET :offset"
        return self._threads(
            f"FROM ({found}) AS found CROSS JOIN threads"
            f" WHERE threads.tenant_id = :tenant AND threads.thread_id = found.thread_id ORDER BY {_order(query)}",
            {**plan.params, "limit": limit, "offset": offset},
            state,
        )

    def ids(self, query: ThreadQuery, *, limit: int, only: Filters = None) -> list[UUID]:
        """Return only the ids.

        Raises: as `page` does.
        """
        plan = self._plan(query, only)
        rows = _prepared(f"{self._ids(query, plan)} LIMIT :limit").run(
            self._connection, {**plan.params, "limit": limit}
        )
        return [UUID(row[0]) for row in rows] if self._is_sqlite else [row[0] for row in rows]

    def named(self, ids: Sequence[UUID], *, state: bool = True) -> list[tuple[Thread, ThreadState]]:
        """Return threads by their ids, in the order of these."""
        params: dict[str, Any] = {"tenant": self._tenant_id}
        found = self._threads(f"FROM threads WHERE {self._among(ids, params)}", params, state)
        by_id = {one[0].thread_id: one for one in found}
        return [by_id[each] for each in ids if each in by_id]

    def with_values(self, ids: Sequence[UUID], values: Any) -> set[UUID]:
        """Return which of these threads have values that contain `values`.

        Raises:
            Invalid: they are not JSON.
        """
        params: dict[str, Any] = {"tenant": self._tenant_id, "values": _json(values)}
        conditions = [self._among(ids, params)]
        if self._is_sqlite:
            for at, needle in enumerate(_needles(values)):
                conditions.append(f'instr(threads."values", :needle_{at}) > 0')
                params[f"needle_{at}"] = needle
        conditions.append(self._contains("values", "values"))
        statement = _prepared(f"SELECT threads.thread_id FROM threads WHERE {' AND '.join(conditions)}")
        rows = statement.run(self._connection, params)
        return {UUID(row[0]) if self._is_sqlite else row[0] for row in rows}

    def count(self, query: ThreadQuery, *, only: Filters = None) -> int:
        """Return how many threads there are, whatever their values.

        Raises: as `page` does.
        """
        plan = self._plan(query, only, up_to=MANY)
        simple = query.ids is None and not plan.checks and not plan.overflow
        if simple and query.status != "idle" and len(plan.asks) == 1:
            statement = f"SELECT count(*) FROM ({plan.asks[0].ids}) AS found"
        elif simple and query.status == "idle" and not plan.asks:
            statement = f"SELECT ({_COUNT}) - ({_COUNT} AND status <> 'idle')"
        else:
            statement = f"SELECT count(*) {self._rest(query, plan, MANY)}"
        number: int = _prepared(statement).run(self._connection, plan.params)[0][0]
        return number

    def _threads(self, rest: str, params: dict[str, Any], state: bool) -> list[tuple[Thread, ThreadState]]:
        rows = self._connection.execute(_typed(f"SELECT {_WHOLE if state else _SLIM} {rest}", state), params)
        return [(thread_of(row), state_of(row) if state else ThreadState()) for row in rows]

    def _ids(self, query: ThreadQuery, plan: _Plan) -> str:
        return f"SELECT threads.thread_id {self._rest(query, plan, FEW)} ORDER BY {_order(query)}"

    def _rest(self, query: ThreadQuery, plan: _Plan, few: int) -> str:
        """`FROM` and `WHERE`: when at most `few` can match, they are looked up by the index that knows them."""
        source, conditions = "threads", ["threads.tenant_id = :tenant"]
        if query.ids is not None:
            source = f"({self._listed(query.ids, plan.params)}) AS few CROSS JOIN threads"
            conditions.append("threads.thread_id = few.thread_id")
        if query.status == "idle":
            conditions.append("threads.status = 'idle'")
        by = min(range(len(plan.asks)), key=plan.counts.__getitem__, default=0)
        for at, ask in enumerate(plan.asks):
            overflow = plan.overflow if ask.is_line else 0
            if at == by and query.ids is None and plan.counts[at] <= few and overflow <= few:
                ids = f"{ask.ids} UNION {_LINE.format('overflow')}" if overflow else ask.ids
                source = f"({ids}) AS few CROSS JOIN threads"
                conditions.append("threads.thread_id = few.thread_id")
            elif ask.is_line and not self._is_sqlite:
                continue  # PostgreSQL is quicker to look into the document than into the lines
            elif overflow:
                conditions.append(f"({ask.walked} OR {_HAS_LINE.format('overflow')})")
            else:
                conditions.append(ask.walked)
        conditions += [*(plan.line_checks if plan.overflow or not self._is_sqlite else ()), *plan.checks]
        return f"FROM {source} WHERE {' AND '.join(conditions)}"

    def _plan(self, query: ThreadQuery, only: Filters, *, up_to: int = FEW) -> _Plan:
        plan = _Plan({"tenant": self._tenant_id, "overflow_path": OVERFLOW[0], "overflow_value": OVERFLOW[1]})
        if query.status not in {None, "idle"}:
            plan.params["status"] = query.status
            plan.asks.append(
                _Ask(
                    # The index of those that are not idle is used where that is said in its own words.
                    "SELECT thread_id FROM threads WHERE tenant_id = :tenant AND status = :status AND status <> 'idle'",
                    "threads.status = :status",
                )
            )
        if query.metadata:
            plan.params["metadata"] = _json(query.metadata)
            exact = self._take(query.metadata, plan)
            (plan.line_checks if exact else plan.checks).append(self._contains("metadata", "metadata"))
        if only:
            self._take_filters(only, plan)
        if self._hidden:
            names = {f"hidden_{at}": name for at, name in enumerate(self._hidden)}
            plan.params |= names
            params = ", ".join(f":{name}" for name in names)
            plan.checks.append(f"COALESCE(threads.agent, threads.graph_id, '') NOT IN ({params})")
        if plan.asks:
            self._probe(plan, up_to)
        return plan

    def _take(self, wanted: dict[str, Any], plan: _Plan) -> bool:
        """Add what an index knows of `wanted`; whether that is all of it."""
        rest = dict(wanted)
        for name in COLUMNS:
            value = as_column(rest.get(name))
            if value is not None:
                del rest[name]
                key = f"column_{len(plan.asks)}"
                plan.params[key] = value
                ids = f"SELECT thread_id FROM threads WHERE tenant_id = :tenant AND {name} = :{key}"
                # The empty text keeps the database from taking the column's index where another way is better.
                plan.asks.append(_Ask(ids, f"threads.{name} || '' = :{key}"))
        lines, exact = wanted_lines(rest)
        for path, value in lines:
            key = f"line_{len(plan.asks)}"
            plan.params |= {f"{key}_path": path, f"{key}_value": value}
            plan.asks.append(_Ask(_LINE.format(key), _HAS_LINE.format(key), is_line=True))
        return exact

    def _take_filters(self, only: Filters, plan: _Plan) -> None:
        """Add the filters of an authorization handler, by the indexes where these say all of it."""
        exact = True
        for at, (key, operator, value) in enumerate(_filters(only)):
            if operator == "$contains":
                exact &= self._take({key: value if isinstance(value, list) else [value]}, plan)
            elif value is None or isinstance(value, dict | list):
                exact = False
            else:
                exact &= self._take({key: value}, plan)
            if not self._is_sqlite:
                plan.params |= {f"filter_{at}_key": key, f"filter_{at}": _json(value)}
        checks = plan.line_checks if exact else plan.checks
        if self._is_sqlite:
            plan.params["filters"] = _json(dict(only or {}))
            checks.append("json_passes(threads.metadata, :filters) = 1")
            return
        for at, (_, operator, _) in enumerate(_filters(only)):
            item = f"(threads.metadata -> CAST(:filter_{at}_key AS TEXT))"
            wanted = f"CAST(CAST(:filter_{at} AS TEXT) AS jsonb)"
            if operator == "$eq":
                checks.append(f"{item} = {wanted}")
            else:
                checks.append(f"jsonb_typeof({item}) = 'array' AND {item} @> {wanted}")

    def _probe(self, plan: _Plan, up_to: int) -> None:
        of = [ask.ids for ask in plan.asks]
        if any(ask.is_line for ask in plan.asks):
            of.append(_LINE.format("overflow"))
        counts = (f"(SELECT count(*) FROM ({ids} LIMIT {up_to + 1}) AS found)" for ids in of)
        row = _prepared(f"SELECT {', '.join(counts)}").run(self._connection, plan.params)[0]
        plan.counts = list(row[: len(plan.asks)])
        plan.overflow = row[len(plan.asks)] if len(of) > len(plan.asks) else 0

    def _contains(self, name: str, param: str) -> str:
        if self._is_sqlite:
            return f'json_contains(threads."{name}", :{param}) = 1'
        return f'threads."{name}" @> CAST(CAST(:{param} AS TEXT) AS jsonb)'

    def _among(self, ids: Sequence[UUID], params: dict[str, Any]) -> str:
        return f"threads.tenant_id = :tenant AND threads.thread_id IN ({self._listed(ids, params)})"

    def _listed(self, ids: Sequence[UUID], params: dict[str, Any]) -> str:
        """Select ids that are given, in one parameter whatever their number."""
        if self._is_sqlite:
            params["ids"] = dump_json([each.hex for each in ids])
            return "SELECT DISTINCT value AS thread_id FROM json_each(:ids)"
        params["ids"] = dump_json([str(each) for each in ids])
        return (
            "SELECT DISTINCT CAST(value AS uuid) AS thread_id"
            " FROM jsonb_array_elements_text(CAST(CAST(:ids AS TEXT) AS jsonb))"
        )


@lru_cache(SHAPES)
def _prepared(sql: str) -> Prepared:
    return Prepared(text(sql))


@lru_cache(SHAPES)
def _typed(sql: str, state: bool) -> Any:
    return text(sql).columns(*slim, *(_LARGE_COLUMNS if state else ()))


def _order(query: ThreadQuery) -> str:
    way = "DESC" if query.descending else "ASC"
    names = dict.fromkeys((query.sort_by, "thread_id"))
    return ", ".join(f"threads.{name} {way}" for name in names)


def _json(value: Any) -> str:
    try:
        return dump_json(value)
    except TypeError as error:
        raise Invalid(f"The filter is not JSON: {error}.") from None


def _filters(only: Filters) -> list[tuple[str, str, Any]]:
    try:
        return plain_filters(only)
    except ValueError as error:
        raise Invalid(str(error)) from None


def _needles(value: Any) -> list[str]:
    """Return texts that stand in all JSON that contains `value`, as orjson writes it: finding none of them is quick."""
    found = sorted(set(_texts(value)), key=len, reverse=True)
    return found[:4]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{orjson.dumps(key).decode()}:"
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield orjson.dumps(value).decode()
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15:
        yield str(value)
