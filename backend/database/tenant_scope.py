"""For whom a transaction works: what PostgreSQL's row-level security compares each row's tenant with.

The policies (`migration/row_level_security.py`) show and take only rows of the tenant that the transaction was named
for, so a statement that forgets its condition finds nothing of anybody else's. A name ends with its transaction: a
pooled connection carries none over, and a transaction without one sees nothing at all. SQLite has no such policies.
"""

from typing import TYPE_CHECKING, cast

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from backend.database.postgres_connection import PostgresConnection

EVERYONE = "*"
"""In place of a tenant: the rows of all, for what works across tenants."""

_NAME = text("SELECT set_config('daedap.tenant', :tenant, true)")


def name_tenant(connection: Connection, tenant_id: str) -> None:
    """Let the transaction see the rows of `tenant_id`, and no other's, until it is named again.

    The first name goes to the server together with BEGIN, and the same name again costs nothing; only a transaction
    that changes from one tenant to another sends a statement for it.
    """
    if connection.dialect.name != "postgresql":
        return
    driver = _driver(connection)
    if not driver.is_in_transaction():
        driver.next_tenant = tenant_id  # SQLAlchemy sends BEGIN with the first statement
    elif driver.tenant != tenant_id:
        connection.execute(_NAME, {"tenant": tenant_id})
        driver.tenant = tenant_id


def forget_tenant(connection: Connection) -> None:
    """Begin a unit of work without a name, also where the one before it never came to its first statement."""
    _driver(connection).next_tenant = None


def is_bound(connection: Connection) -> bool:
    """Return whether policies hold for the role of the connection: for a superuser or with BYPASSRLS they do not."""
    query = text("SELECT NOT (rolsuper OR rolbypassrls) FROM pg_roles WHERE rolname = current_user")
    return bool(connection.execute(query).scalar_one())


def _driver(connection: Connection) -> "PostgresConnection":
    return cast("PostgresConnection", connection.connection.driver_connection)
