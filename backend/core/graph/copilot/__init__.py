"""Drafts a reply to a ticket for a person of the desk, who accepts, edits or rejects it."""
