"""Queries with a typing error: a filter must not show, or export, everything, nor may a change be another one."""

from fastapi.dependencies.models import Dependant
from starlette.requests import Request

from backend.core.error import Invalid
from backend.service.permission import READING

NAME_LIMIT = 50


async def only_known(request: Request) -> None:
    """Refuse a query that names what the route does not know.

    Raises:
        Invalid: it does.
    """
    known = _names(request.scope["route"].dependant)
    for name in request.query_params:
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise Invalid(f"There is no parameter {name[:NAME_LIMIT]!r} here. There are: {there}.")


async def only_known_in_changes(request: Request) -> None:
    """Refuse a request that changes something and whose query names what the route does not know.

    Raises:
        Invalid: it does.
    """
    if request.method not in READING:
        await only_known(request)


def _names(dependant: Dependant) -> set[str]:
    own = {param.alias for param in dependant.query_params}
    return own.union(*(_names(one) for one in dependant.dependencies))
