"""Summarizes a ticket."""
