"""The chat models: those behind an OpenAI-compatible endpoint, and the built-in extractive one."""
