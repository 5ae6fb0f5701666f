"""Every statement is some tenant's: the one place that says so."""

from sqlalchemy import Connection


class Scoped:
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
        self._connection = connection
        self._tenant_id = tenant_id
