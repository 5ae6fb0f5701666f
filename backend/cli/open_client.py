"""Which client: whoever owns the data folder is asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from backend.cli.client import Client
from backend.cli.terminal import CommandError
from backend.config.setting import Settings
from backend.core.lock.data_folder import owner_of
from backend.dto.principal import DEFAULT_TENANT

if TYPE_CHECKING:
    from backend.cli.http_client import HttpClient


@asynccontextmanager
async def open_client(settings: Settings, tenant: str = DEFAULT_TENANT) -> AsyncIterator[Client]:
    """Give the client of a tenant: through the server if one owns the data folder, in this process otherwise.

    Raises:
        CommandError: there is no such tenant, or another command is at work in the folder.
    """
    token = _token(settings, tenant)
    owner = owner_of(settings.data_dir)
    if owner is None:
        from backend.cli.local_client import open_local

        async with open_local(settings, token) as local:
            yield local
    elif owner["url"]:
        from backend.cli.http_client import open_http

        async with open_http(owner["url"], token, settings) as remote:
            yield remote
    else:
        raise CommandError(
            f"Another command (process {owner['pid']}) is at work in {settings.data_dir}; try again when it has ended."
        )


@asynccontextmanager
async def open_server(settings: Settings, tenant: str = DEFAULT_TENANT) -> AsyncIterator["HttpClient"]:
    """Give the client of a tenant for what only a running server does.

    Raises:
        CommandError: there is no such tenant, or no server owns the data folder.
    """
    from backend.cli.http_client import open_http

    token = _token(settings, tenant)
    owner = owner_of(settings.data_dir)
    if owner is None or not owner["url"]:
        raise CommandError(f"No server is at work in {settings.data_dir}; start one with `daedap serve`.")
    async with open_http(owner["url"], token, settings) as remote:
        yield remote


def _token(settings: Settings, tenant: str) -> str | None:
    if settings.auth_mode == "disabled":
        if tenant != DEFAULT_TENANT:
            raise CommandError(f"With AUTH_MODE=disabled there is only the tenant {DEFAULT_TENANT}, not {tenant!r}.")
        return None
    token = settings.tokens.get(tenant)
    if token is None:
        known = ", ".join(settings.tokens)
        raise CommandError(f"There is no token for the tenant {tenant!r}; ACCESS_TOKEN and TENANT_TOKENS have {known}.")
    return token.get_secret_value()
