"""Bodies and shapes of the LangGraph Agent Server API."""
