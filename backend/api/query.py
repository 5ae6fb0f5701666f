"""Queries of lists: a filter with a typing error must not show, or export, everything."""

from fastapi.dependencies.models import Dependant
from starlette.requests import Request

from backend.core.error import Invalid

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


def _names(dependant: Dependant) -> set[str]:
    own = {param.alias for param in dependant.query_params}
    return own.union(*(_names(one) for one in dependant.dependencies))
