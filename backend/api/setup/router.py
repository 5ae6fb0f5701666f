"""`/setup`: installing a support platform, and hearing its webhooks."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Header, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from backend.api.dependency import Caller, PlatformWebhooks, Setup
from backend.api.query import only_known_in_changes
from backend.api.setup.install_page import install_page
from backend.core.error import (
    AlreadyThere,
    Conflict,
    InstallationNotFound,
    Invalid,
    KeyRefused,
    TooLarge,
    TooMany,
    Unauthorized,
    UpstreamFailed,
    UpstreamTimeout,
)
from backend.schema.problem import problems
from backend.schema.setup import (
    INSTALL_EXAMPLES,
    ConnectionRead,
    InstallationList,
    InstallationRead,
    InstallRequest,
    InstallResult,
    KeyRequest,
    PlatformName,
    TenantName,
    WebhookRead,
    WebhookTaken,
    webhook_path,
)
from backend.service.platform_webhook import MAX_BYTES

router = APIRouter(prefix="/setup", tags=["setup"])
_checked = [Depends(only_known_in_changes)]
"""Not of the webhook, to whose address a platform may add something."""

Platform = Annotated[PlatformName, Path()]
Tenant = Annotated[TenantName | None, Query(description="For an operator: whose installation. Others have their own.")]
_ASKED = (Unauthorized, Invalid, KeyRefused, TooMany, UpstreamFailed, UpstreamTimeout)


@router.post("/test-freshdesk-connection", summary="Try an API key", dependencies=_checked, responses=problems(*_ASKED))
async def check_connection(
    wanted: Annotated[InstallRequest, Body(openapi_examples=INSTALL_EXAMPLES)], caller: Caller, setup: Setup
) -> ConnectionRead:
    """Ask the platform whether it accepts a key. Nothing is kept."""
    tested = await setup.test_connection(
        caller, wanted.platform, wanted.domain, wanted.api_key, tenant_id=wanted.tenant_id
    )
    return ConnectionRead.of(tested)


@router.post(
    "/install",
    summary="Install a platform",
    dependencies=_checked,
    responses=problems(*_ASKED, AlreadyThere, Conflict),
)
async def install(
    wanted: Annotated[InstallRequest, Body(openapi_examples=INSTALL_EXAMPLES)], caller: Caller, setup: Setup
) -> InstallResult:
    """Keep an account's key, encrypted, and begin to collect. Once more for the same account only renews the key."""
    made = await setup.install(caller, wanted.platform, wanted.domain, wanted.api_key, tenant_id=wanted.tenant_id)
    return InstallResult.of(made)


@router.get("/installations", summary="List installations", responses=problems(Unauthorized))
async def list_installations(caller: Caller, setup: Setup, tenant_id: Tenant = None) -> InstallationList:
    """Return what is installed, without its secrets."""
    found = await setup.status(caller, tenant_id=tenant_id)
    return InstallationList(items=[InstallationRead.of(one) for one in found])


@router.get("/freshdesk/iparams.html", include_in_schema=False)
async def page(request: Request) -> Response:
    """Return the page that installs: for a browser, and for a Freshdesk app's `config/iparams.html`."""
    return install_page(request.headers.get("if-none-match"))


@router.post(
    "/{platform}/key",
    summary="Replace the platform's API key",
    dependencies=_checked,
    responses=problems(*_ASKED, InstallationNotFound),
)
async def rotate_key(
    platform: Platform, wanted: KeyRequest, caller: Caller, setup: Setup, tenant_id: Tenant = None
) -> InstallationRead:
    """Use another key of the same account from now on, if the platform accepts it."""
    return InstallationRead.of(await setup.rotate(caller, platform, wanted.api_key, tenant_id=tenant_id))


@router.post(
    "/{platform}/webhook-secret",
    summary="Make a new webhook secret",
    dependencies=_checked,
    responses=problems(Unauthorized, InstallationNotFound),
)
async def rotate_webhook_secret(
    platform: Platform, caller: Caller, setup: Setup, tenant_id: Tenant = None
) -> WebhookRead:
    """Return a new secret, this once; the old one no longer holds."""
    found, secret = await setup.rotate_webhook_secret(caller, platform, tenant_id=tenant_id)
    return WebhookRead(url=webhook_path(found), secret=secret)


@router.delete(
    "/{platform}",
    summary="Uninstall a platform",
    dependencies=_checked,
    status_code=204,
    responses=problems(Unauthorized, InstallationNotFound),
)
async def uninstall(
    platform: Platform,
    caller: Caller,
    setup: Setup,
    purge: Annotated[bool, Query(description="Whether what was collected is removed as well.")] = False,
    tenant_id: Tenant = None,
) -> None:
    """Forget the key and stop collecting."""
    await setup.uninstall(caller, platform, purge=purge, tenant_id=tenant_id)


@router.post(
    "/{platform}/webhook/{tenant_id}",
    summary="Hear a webhook of the platform",
    status_code=202,
    responses=problems(Unauthorized, TooLarge, Invalid),
)
async def webhook(
    platform: Platform,
    tenant_id: Annotated[str, Path(max_length=63)],
    request: Request,
    webhooks: PlatformWebhooks,
    secret: Annotated[
        str | None, Header(alias="X-Webhook-Secret", description="From the installation; nowhere but in this header.")
    ] = None,
) -> WebhookTaken:
    """Take JSON, a form or XML with `freshdesk_webhook.ticket_id` as a hint: those tickets are read again, soon."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise TooLarge(f"The body is larger than {MAX_BYTES} bytes.", limit=MAX_BYTES)
    tickets = await webhooks.take(tenant_id, platform, secret, bytes(body))
    return WebhookTaken(status="accepted" if tickets else "duplicate", tickets=list(tickets))
