"""The office of the tests of collecting."""

from test.sync.conftest import office, tables

__all__ = ["office", "tables"]
