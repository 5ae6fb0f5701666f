"""JSON that a client may send for keeping: what both databases can hold, and no deeper than anybody needs."""

from typing import Annotated, Any

from pydantic import AfterValidator, JsonValue
from pydantic_core import PydanticCustomError

from backend.schema.chat import Storable

MAX_DEPTH = 100
"""Arrays and objects in each other. Serializers and searches give up between 200 and 300."""


def _shallow(value: dict[str, Any]) -> dict[str, Any]:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for one in level
            for item in (one.values() if isinstance(one, dict) else one)
            if isinstance(item, dict | list)
        ]
        if not level:
            return value
    raise PydanticCustomError("too_deep", f"JSON is nested at most {MAX_DEPTH} deep.")


JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_shallow), Storable]
"""An object of JSON: no NUL, no half of a surrogate pair, no integer of more than 64 bits, not too deep."""
