"""No two modules need each other, not even by an import within a function."""

from graphlib import CycleError, TopologicalSorter

import grimp


def circle_of(imports: dict[str, set[str]]) -> list[str]:
    """Return modules that need each other in turn; none when each needs only earlier ones in some order."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_there_is_no_circle_of_imports() -> None:
    graph = grimp.build_graph("backend", cache_dir=None)
    assert circle_of({name: graph.find_modules_directly_imported_by(name) for name in graph.modules}) == []


def test_a_circle_would_be_found() -> None:
    assert set(circle_of({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
