"""Every statement is some tenant's: the one place that says so.

A repository names its tenant in each statement. That is the first wall. On PostgreSQL, row-level security is the
second, and knows the tenant because whoever reaches for a connection here has the transaction named for it first.
"""

from typing import cast

from sqlalchemy import Connection

from backend.database.tenant_scope import EVERYONE, name_tenant


class _Named:
    """A repository's connection on PostgreSQL, its transaction named for the repository's tenant each time it is used.

    Each time and not once, because repositories of several tenants may take turns in one transaction; the same name
    again costs nothing. On SQLite the connection itself stands in its place: an instance's attribute comes before this.
    """

    def __get__(self, repository: "Bound", _: type | None = None) -> Connection:
        name_tenant(repository._unnamed, repository._named)
        return repository._unnamed


class Bound:
    """A connection, and for whom it is used: the base of the two below, and of whatever else keeps a connection."""

    _connection = cast(Connection, _Named())

    def __init__(self, connection: Connection, named: str) -> None:
        self._named = named
        self._unnamed = connection
        if connection.dialect.name == "sqlite":
            self.__dict__["_connection"] = connection


class Scoped(Bound):
    """What a repository of a tenant begins with: a connection, and whose rows it may see.

    Every statement of a subclass names `self._tenant_id`; a test reads what they send to the database and fails for one
    that does not.
    """

    def __init__(self, connection: Connection, tenant_id: str) -> None:
        """Bind the tenant.

        Raises:
            ValueError: there is none, which is a mistake of ours.
        """
        if not tenant_id:
            raise ValueError("A repository needs a tenant.")
        super().__init__(connection, tenant_id)
        self._tenant_id = tenant_id


class AcrossTenants(Bound):
    """What works on the rows of every tenant begins with: sweepers, workers, look-ups that find out whose something is.

    Such a class says in its docstring who may use it.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, EVERYONE)
