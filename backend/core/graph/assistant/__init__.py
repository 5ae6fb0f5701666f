"""A language model with tools: it decides itself when to search, and may search several times.

Unlike the other agents it is built by LangChain's `create_agent`, so it has middleware instead of nodes. LangChain is
imported when the agent is first asked for.
"""
