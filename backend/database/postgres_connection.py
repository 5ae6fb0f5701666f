"""The driver's connection, which tells the server with BEGIN for whom the transaction is."""

from typing import Any

import asyncpg


class PostgresConnection(asyncpg.Connection):
    """A connection that knows the tenant of its transaction (`tenant_scope.py`)."""

    __slots__ = ("next_tenant", "tenant")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.next_tenant: str | None = None
        """For whom the transaction will be that is not begun yet."""
        self.tenant: str | None = None
        """For whom the one is that was begun last."""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        """Execute; BEGIN, as asyncpg's `Transaction` sends it, takes the tenant's name along in the same message."""
        if query.startswith("BEGIN"):
            self.tenant, self.next_tenant = self.next_tenant, None
            if self.tenant is not None:
                # Hexadecimal digits, because this message has no parameters: nothing in a name can end the literal.
                digits = self.tenant.encode().hex()
                query = f"{query};SELECT set_config('daedap.tenant',convert_from('\\x{digits}','UTF8'),true)"
        return await super().execute(query, *args, timeout=timeout)
