"""Where what happens now comes from: the client's address and the request's id, for the audit log."""

from contextvars import ContextVar
from typing import NamedTuple


class Origin(NamedTuple):
    address: str | None = None
    request_id: str | None = None


_NOWHERE = Origin()
_origin: ContextVar[Origin] = ContextVar("origin", default=_NOWHERE)


def current_origin() -> Origin:
    """Return where the request comes from that is served now; an empty one outside of any.

    It is known to the task that serves the request, not to the thread in which the database works.
    """
    return _origin.get()


class coming_from:  # noqa: N801  # used like a function
    """`with coming_from(address, request_id):` says where everything inside comes from.

    A class and no generator: every request passes here.
    """

    __slots__ = ("_origin", "_token")

    def __init__(self, address: str | None, request_id: str | None) -> None:
        self._origin = Origin(address or None, request_id)

    def __enter__(self) -> None:
        self._token = _origin.set(self._origin)

    def __exit__(self, *_: object) -> None:
        _origin.reset(self._token)
