"""Removing data: a deleted tenant\x27s, and tickets that are not kept any longer."""
