"""Answers from the tenant's documents, with sources, or says that they do not tell."""
