"""A graph that cannot be imported."""

import a_module_that_nobody_has  # type: ignore[import-not-found]  # that is the point

graph = a_module_that_nobody_has.graph
