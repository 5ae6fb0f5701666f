"""The LangGraph Agent Server API."""
