"""What a checkpoint may make again: the state of any graph, and nothing that data chose to call."""

import sys
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import Any

import ormsgpack
import pytest
from langgraph.checkpoint.serde import jsonplus
from pydantic import BaseModel

from backend.core.run.serde import checkpoint_serde


@dataclass
class Order:
    number: int


class Customer(BaseModel):
    name: str
    orders: list[Order] = []


class Colour(Enum):
    RED = "red"


class Trap:
    sprung = False

    def __init__(self, *_: Any, **__: Any) -> None:
        Trap.sprung = True


@pytest.mark.parametrize(
    "value", [Order(1), Customer(name="Ada", orders=[Order(2)]), Colour.RED, {"deep": [Order(3)]}], ids=repr
)
def test_plain_data_of_a_graph_comes_back_as_it_was(value: Any):
    serde = checkpoint_serde()
    assert serde.loads_typed(serde.dumps_typed(value)) == value


@pytest.mark.parametrize(
    ("module", "name"), [("os", "system"), ("subprocess", "Popen"), ("builtins", "eval"), (__name__, "Trap")]
)
def test_what_is_no_data_is_not_called(module: str, name: str, tmp_path: Any):
    said = ormsgpack.packb([module, name, f"touch {tmp_path}/sprung"])
    forged = ormsgpack.packb(ormsgpack.Ext(jsonplus.EXT_CONSTRUCTOR_SINGLE_ARG, said))
    found = checkpoint_serde().loads_typed(("msgpack", forged))
    assert found == f"touch {tmp_path}/sprung"
    assert not list(tmp_path.iterdir())
    assert not Trap.sprung


def test_nothing_is_imported_because_a_checkpoint_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    said = ormsgpack.packb(["this", "s", {"a": 1}])
    forged = ormsgpack.packb(ormsgpack.Ext(jsonplus.EXT_PYDANTIC_V2, said))
    assert checkpoint_serde().loads_typed(("msgpack", forged)) == {"a": 1}
    assert "this" not in sys.modules


def test_a_type_of_a_module_that_comes_later_is_known_then(monkeypatch: pytest.MonkeyPatch):
    serde = checkpoint_serde()
    late = ModuleType("late_module")
    kind: Any = dataclass(type("Late", (), {"__annotations__": {"n": int}, "__module__": "late_module"}))
    late.Late = kind  # type: ignore[attr-defined]
    saved = serde.dumps_typed(kind(1))
    assert not isinstance(serde.loads_typed(saved), kind)
    monkeypatch.setitem(sys.modules, "late_module", late)
    assert serde.loads_typed(saved) == kind(1)


def test_a_project_may_name_more():
    said = ormsgpack.packb([__name__, "Trap", {}])
    forged = ormsgpack.packb(ormsgpack.Ext(jsonplus.EXT_CONSTRUCTOR_KW_ARGS, said))
    try:
        assert isinstance(checkpoint_serde([(__name__, "Trap")]).loads_typed(("msgpack", forged)), Trap)
    finally:
        Trap.sprung = False
