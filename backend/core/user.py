"""The user of a project's own authentication, as its handlers, factories and nodes see it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class User(Mapping[str, Any]):
    """What the authentication said, as a map and by attributes: the form that `langgraph_sdk` calls `BaseUser`."""

    __slots__ = ("_said",)

    def __init__(self, said: Mapping[str, Any]) -> None:
        """Take what was said; `identity` must be in it."""
        self._said = {
            "is_authenticated": True,
            "display_name": said["identity"],
            **said,
            "permissions": list(said.get("permissions") or ()),
        }

    @property
    def identity(self) -> str:
        return str(self._said["identity"])

    @property
    def display_name(self) -> str:
        return str(self._said["display_name"])

    @property
    def is_authenticated(self) -> bool:
        return bool(self._said["is_authenticated"])

    @property
    def permissions(self) -> Sequence[str]:
        return list(self._said["permissions"])

    def __getitem__(self, key: str) -> Any:
        return self._said[key]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._said[name]
        except KeyError:
            raise AttributeError(f"the user has no {name!r}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._said)

    def __len__(self) -> int:
        return len(self._said)

    def __repr__(self) -> str:
        return f"User({self.identity!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return a copy, as JSON may have it."""
        return dict(self._said)


def as_user(said: Mapping[str, Any]) -> User:
    """Return a user as one; what is one already stays as it is."""
    return said if isinstance(said, User) else User(said)
