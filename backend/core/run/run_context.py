"""What a graph gets as its context, by its own schema of it."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints

from langgraph.pregel import Pregel
from pydantic import BaseModel


def context_for(graph: Pregel[Any, Any, Any, Any], given: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return what of a run's context the graph knows; LangGraph makes the schema's object of it.

    A caller's configuration is mirrored into the context, so it may hold what the schema has no field for. Without any
    context a graph gets its schema's defaults, and None where a field has none.
    """
    schema: Any = graph.context_schema
    if schema is None:
        return given
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        names = set(schema.model_fields) | {
            field.alias for field in schema.model_fields.values() if field.alias is not None
        }
        complete = not any(field.is_required() for field in schema.model_fields.values())
    elif is_dataclass(schema):
        own = [field for field in fields(schema) if field.init]
        names = {field.name for field in own}
        complete = all(field.default is not MISSING or field.default_factory is not MISSING for field in own)
    else:
        try:
            names = set(get_type_hints(schema))
        except (TypeError, NameError):
            return given
        complete = True
    if given is None:
        return {} if complete else None
    return {name: value for name, value in given.items() if name in names}
