"""Assistants: graphs with saved configurations, and their versions."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import Connection

from backend.core.error import AssistantExists, AssistantNotFound, BadRequest, Conflict, Invalid, NotFound
from backend.database.base import Database, Work
from backend.dto.assistant import (
    SHARED,
    UNTITLED,
    Assistant,
    AssistantChange,
    AssistantQuery,
    AssistantSort,
    AssistantVersion,
    SortOrder,
)
from backend.dto.principal import Principal
from backend.repository.assistant import AssistantRepository
from backend.service.graph_view import UNNAMED, Graphs, GraphView, Json
from backend.util.containment import Filters, passes
from backend.util.id_generator import default_assistant_id

T = TypeVar("T")

CACHE_SIZE = 1000
LONGEST_ID = 100
"""Characters of a UUID or graph id under which an assistant is kept in memory: a UUID has spellings without end."""
CACHE_SECONDS = 1.0
"""How long one is taken from memory: a change by another server may go unnoticed so long, a change by us never."""
READ_SECONDS = 0.1
"""How much longer, while somebody reads it anew: a busy server would otherwise read it for all who ask meanwhile."""


class Dependents(Protocol):
    """What hangs on an assistant and goes with it. Each method may be called again for the same assistant."""

    async def end(self, principal: Principal, assistant_id: UUID) -> None:
        """Cancel its active runs and remove its crons."""

    async def delete_threads(self, principal: Principal, assistant_id: UUID, only: Filters) -> None:
        """Delete the threads whose metadata name it and pass `only`."""


class AssistantService:
    def __init__(
        self,
        database: Database,
        graphs: Graphs,
        clock: Callable[[], datetime],
        dependents: Dependents | None = None,
    ) -> None:
        self._database = database
        self._graphs = graphs
        self._clock = clock
        self._dependents = dependents
        self._views = GraphView(graphs)
        self._cache: dict[tuple[str, str], tuple[Assistant, float]] = {}
        """By tenant and what was asked for: the assistant, and the moment until which it may be taken from here."""
        self._generation = 0
        """Grows with every change: what was read before one is not kept after it."""

    async def open(self) -> None:
        """Write the default assistants of the graphs that are served; can be done again at any time.

        The row of a graph that is no longer served stays, unseen: another server may serve it, or this one again.
        """
        wanted = [self._default(name) for name in self._graphs.names()]

        def missing(connection: Connection) -> list[Assistant]:
            assistants = self._repository(connection, SHARED)
            return [one for one in wanted if not _same(assistants.find(one.assistant_id), one)]

        def write(connection: Connection) -> None:
            assistants = self._repository(connection, SHARED)
            for one in missing(connection):
                found = assistants.find(one.assistant_id)
                if found is None:
                    assistants.insert(one)
                else:
                    changed = replace(one, version=found.version, created_at=found.created_at)
                    assistants.change(changed)
                    assistants.replace_version(changed)

        if await self._database.read(missing):
            await self._database.write(write)
            self._generation += 1
            self._cache.clear()

    async def resolve(self, principal: Principal, assistant_id: str, only: Filters = None) -> Assistant:
        """Return the assistant that a run, or a look at a graph, means by a UUID or a graph id.

        Every run asks; the answer comes from memory for a second, and is never older than a change that was answered.

        Raises:
            AssistantNotFound: no such assistant, or another tenant's, or hidden from the user.
            Invalid: neither a UUID nor the id of a graph that is served.
        """
        key = principal.tenant_id, assistant_id
        kept = self._cache.get(key)
        now = time.monotonic()
        if kept is not None and kept[1] > now:
            found = kept[0]
        else:
            if kept is not None:
                self._cache[key] = kept[0], now + READ_SECONDS
            found = await self._read(principal.tenant_id, assistant_id)
        if not passes(found.metadata, only):
            raise AssistantNotFound(found.assistant_id)
        return found

    def id_of(self, text: str) -> UUID:
        """Return the id that a UUID or a graph id stands for; whether there is such an assistant is not asked.

        Raises:
            Invalid: neither a UUID nor the id of a graph that is served.
        """
        try:
            return UUID(text)
        except ValueError:
            names = self._graphs.names()
        if text in names:
            return default_assistant_id(text)
        there = ", ".join(names)
        raise Invalid(f"{text[:100]!r} is neither the UUID of an assistant nor a graph. The graphs are: {there}.")

    async def get(self, principal: Principal, assistant_id: UUID, *, only: Filters = None) -> Assistant:
        """Return an assistant.

        Raises:
            AssistantNotFound: no such assistant, or another tenant's, or hidden from the user.
        """
        return await self.resolve(principal, str(assistant_id), only)

    async def create(
        self,
        principal: Principal,
        graph_id: str,
        *,
        assistant_id: UUID | None = None,
        config: Json | None = None,
        context: Json | None = None,
        metadata: Json | None = None,
        name: str | None = None,
        description: str | None = None,
        if_exists: Literal["raise", "do_nothing"] = "raise",
        only: Filters = None,
    ) -> Assistant:
        """Make an assistant; with `do_nothing` return the one that has this id already.

        Raises:
            AgentNotFound: no such graph.
            AssistantExists: the id is taken.
            BadRequest: both `config.configurable` and `context` say something.
        """
        self._graphs.describe(graph_id)
        config, context = _mirrored(config or {}, context or {})
        now = self._clock()
        wanted = Assistant(
            assistant_id=assistant_id or uuid4(),
            tenant_id=principal.tenant_id,
            graph_id=graph_id,
            config=config,
            context=context,
            metadata=metadata or {},
            name=name or UNTITLED,
            description=description,
            version=1,
            created_at=now,
            updated_at=now,
        )

        def work(connection: Connection) -> Assistant:
            assistants = self._repository(connection, principal.tenant_id)
            found = assistants.find(wanted.assistant_id)
            if found is None:
                if assistants.insert(wanted):
                    return wanted
                found = assistants.get(wanted.assistant_id)  # another server was quicker
            if if_exists == "raise" or not passes(found.metadata, only):
                raise AssistantExists(found.assistant_id)
            return found

        return await self._change(principal.tenant_id, wanted.assistant_id, work)

    async def update(
        self, principal: Principal, assistant_id: UUID, change: AssistantChange, *, only: Filters = None
    ) -> Assistant:
        """Change an assistant, and keep what it becomes as a new version.

        A graph's default assistant is changed for this tenant alone.

        Raises:
            AgentNotFound: no such graph.
            AssistantNotFound: no such assistant, or another tenant's, or hidden from the user.
            BadRequest: both `config.configurable` and `context` say something.
        """
        if change.graph_id is not None:
            self._graphs.describe(change.graph_id)
        if (change.config or {}).get("configurable") and change.context:
            raise _both()

        def work(connection: Connection) -> Assistant:
            assistants = self._repository(connection, principal.tenant_id)
            found = _seen(assistants.claim(assistant_id), only)
            version = assistants.highest_version(assistant_id) + 1
            changed = replace(_changed(found, change), version=version, updated_at=self._clock())
            assistants.change(changed)
            assistants.add_version(changed)
            return changed

        return await self._change(principal.tenant_id, assistant_id, work)

    async def delete(
        self,
        principal: Principal,
        assistant_id: UUID,
        *,
        delete_threads: bool = False,
        only: Filters = None,
        threads_only: Filters = None,
    ) -> None:
        """Delete an assistant; its active runs are cancelled and its crons removed.

        What depends on it goes first: after a crash in between, the same request does the rest. A tenant's copy of a
        default assistant gives way to the shared one again. `delete_threads` takes its threads too, those that pass
        `threads_only`.

        Raises:
            AssistantNotFound: no such assistant, or another tenant's, or hidden from the user.
            Conflict: it is a graph's default assistant.
        """
        found = await self.get(principal, assistant_id, only=only)
        if found.shared:
            raise Conflict(
                f"Assistant {assistant_id} is the default of graph {found.graph_id!r}, which all share. "
                "It can be changed, but not deleted."
            )
        if self._dependents is not None:
            await self._dependents.end(principal, assistant_id)
            if delete_threads:
                await self._dependents.delete_threads(principal, assistant_id, threads_only)

        def work(connection: Connection) -> None:
            assistants = self._repository(connection, principal.tenant_id)
            _seen(assistants.get(assistant_id), only)
            if not assistants.delete(assistant_id):
                raise AssistantNotFound(assistant_id)

        await self._change(principal.tenant_id, assistant_id, work)

    async def search(
        self,
        principal: Principal,
        query: AssistantQuery,
        *,
        limit: int = 10,
        offset: int = 0,
        sort_by: AssistantSort = "created_at",
        sort_order: SortOrder = "desc",
        only: Filters = None,
    ) -> tuple[list[Assistant], bool]:
        """Return a page of assistants, and whether there are more.

        Raises:
            AgentNotFound: the query asks for a graph that is not served.
        """
        if query.graph_id is not None:
            self._graphs.describe(query.graph_id)

        def work(connection: Connection) -> list[Assistant]:
            return self._repository(connection, principal.tenant_id).search(
                query, only=only, sort_by=sort_by, sort_order=sort_order, limit=limit + 1, offset=offset
            )

        found = await self._database.read(work)
        return found[:limit], len(found) > limit

    async def count(self, principal: Principal, query: AssistantQuery, *, only: Filters = None) -> int:
        """Return how many assistants there are.

        Raises:
            AgentNotFound: the query asks for a graph that is not served.
        """
        if query.graph_id is not None:
            self._graphs.describe(query.graph_id)
        return await self._database.read(
            lambda connection: self._repository(connection, principal.tenant_id).count(query, only=only)
        )

    async def versions(
        self,
        principal: Principal,
        assistant_id: UUID,
        *,
        metadata: Json | None = None,
        limit: int = 10,
        offset: int = 0,
        only: Filters = None,
    ) -> list[AssistantVersion]:
        """Return the versions of an assistant that contain `metadata`, newest first.

        Raises:
            AssistantNotFound: no such assistant, or another tenant's, or hidden from the user.
        """

        def work(connection: Connection) -> list[AssistantVersion]:
            assistants = self._repository(connection, principal.tenant_id)
            found = _seen(assistants.get(assistant_id), only)
            return assistants.versions(found, metadata=metadata, limit=limit, offset=offset)

        return await self._database.read(work)

    async def set_latest(
        self, principal: Principal, assistant_id: UUID, version: int, *, only: Filters = None
    ) -> Assistant:
        """Make an assistant what it was in a version; the next change makes a version above all there are.

        Raises:
            AssistantNotFound: no such assistant, or another tenant's, or hidden from the user.
            NotFound: it has no such version.
        """

        def work(connection: Connection) -> Assistant:
            assistants = self._repository(connection, principal.tenant_id)
            found = _seen(assistants.claim(assistant_id), only)
            wanted = assistants.version(assistant_id, version)
            if wanted is None:
                raise NotFound(f"Assistant {assistant_id} has no version {version}.")
            changed = replace(
                found,
                graph_id=wanted.graph_id,
                config=wanted.config,
                context=wanted.context,
                metadata=wanted.metadata,
                name=wanted.name,
                description=wanted.description,
                version=version,
                updated_at=self._clock(),
            )
            assistants.change(changed)
            return changed

        return await self._change(principal.tenant_id, assistant_id, work)

    async def graph(
        self, principal: Principal, assistant_id: UUID, *, xray: bool | int = False, only: Filters = None
    ) -> Json:
        """Return the nodes and edges of an assistant's graph; see `GraphView.draw`. Raises what `get` does too."""
        assistant = await self.get(principal, assistant_id, only=only)
        return await self._views.draw(assistant, principal.user, xray=xray)

    async def schemas(self, principal: Principal, assistant_id: UUID, *, only: Filters = None) -> Json:
        """Return the JSON schemas of an assistant's graph. Raises what `get` does."""
        assistant = await self.get(principal, assistant_id, only=only)
        return await self._views.schemas(assistant, principal.user)

    async def subgraphs(
        self,
        principal: Principal,
        assistant_id: UUID,
        *,
        namespace: str | None = None,
        recurse: bool = False,
        only: Filters = None,
    ) -> dict[str, Json]:
        """Return the schemas of the subgraphs of an assistant's graph. Raises what `get` does."""
        assistant = await self.get(principal, assistant_id, only=only)
        return await self._views.subgraphs(assistant, principal.user, namespace=namespace, recurse=recurse)

    async def _read(self, tenant_id: str, text: str) -> Assistant:
        assistant_id = self.id_of(text)

        def find(connection: Connection) -> Assistant | None:
            return self._repository(connection, tenant_id).find(assistant_id)

        generation = self._generation
        found = await self._database.read(find)
        if found is None and assistant_id in map(default_assistant_id, self._graphs.names()):
            await self.open()  # a graph that came after the start
            generation = self._generation
            found = await self._database.read(find)
        if found is None:
            self._cache.pop((tenant_id, text), None)
            raise AssistantNotFound(assistant_id)
        if generation == self._generation and len(text) <= LONGEST_ID:
            key = tenant_id, text
            self._cache.pop(key, None)
            if len(self._cache) >= CACHE_SIZE:
                del self._cache[next(iter(self._cache))]
            self._cache[key] = found, time.monotonic() + CACHE_SECONDS
        return found

    async def _change(self, tenant_id: str, assistant_id: UUID, work: Work[T]) -> T:
        """Do what changes an assistant; whoever asks after the answer gets none from memory that is older."""
        try:
            return await self._database.write(work)
        finally:
            self._generation += 1
            stale = [
                key
                for key, (found, _) in self._cache.items()
                if key[0] == tenant_id and found.assistant_id == assistant_id
            ]
            for key in stale:
                del self._cache[key]

    def _repository(self, connection: Connection, tenant_id: str) -> AssistantRepository:
        return AssistantRepository(connection, tenant_id, self._graphs.names())

    def _default(self, name: str) -> Assistant:
        agent = self._graphs.describe(name)
        # A graph of the project's own may have been given a name when it was compiled.
        graph = None if agent.built_in else self._graphs.static(name)
        now = self._clock()
        return Assistant(
            assistant_id=default_assistant_id(name),
            tenant_id=SHARED,
            graph_id=name,
            config={},
            context={},
            metadata={"created_by": "system"},
            name=agent.title if graph is None or graph.name == UNNAMED else graph.name,
            description=agent.description or None,
            version=1,
            created_at=now,
            updated_at=now,
        )


def _same(found: Assistant | None, wanted: Assistant) -> bool:
    return found is not None and (found.name, found.description) == (wanted.name, wanted.description)


def _seen(found: Assistant, only: Filters) -> Assistant:
    if not passes(found.metadata, only):
        raise AssistantNotFound(found.assistant_id)
    return found


def _changed(found: Assistant, change: AssistantChange) -> Assistant:
    """Return what a change makes of an assistant; `configurable` is the older name of the context, and follows it."""
    config = found.config if change.config is None else change.config
    if change.context is not None and not (change.config or {}).get("configurable"):
        context = change.context
        config = {key: value for key, value in config.items() if key != "configurable"}
        if context:
            config["configurable"] = context
    elif change.config is not None:
        context = change.config.get("configurable", found.context)
    else:
        context = found.context
    return replace(
        found,
        graph_id=change.graph_id or found.graph_id,
        config=config,
        context=context,
        metadata={**found.metadata, **(change.metadata or {})},
        name=change.name or found.name,
        description=found.description if change.description is None else change.description,
    )


def _mirrored(config: Mapping[str, Any], context: Mapping[str, Any]) -> tuple[Json, Json]:
    """Return a new assistant's config and context: what is said in one of them stands in both."""
    configurable = config.get("configurable")
    if configurable and context:
        raise _both()
    if context:
        return {**config, "configurable": dict(context)}, dict(context)
    return dict(config), dict(configurable or {})


def _both() -> BadRequest:
    return BadRequest("Give either config.configurable or context, not both: each is copied into the other.")
