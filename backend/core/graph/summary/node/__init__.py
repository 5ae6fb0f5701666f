"""The nodes: one a file, found by the orchestrator."""
