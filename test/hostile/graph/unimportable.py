"""A graph that cannot be imported."""

import a_module_that_nobody_has

graph = a_module_that_nobody_has.graph
