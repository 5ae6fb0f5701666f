"""Daedap, an open LangGraph agent server."""

import os

# LangGraph reads it when it is first imported: a checkpoint then rebuilds only types that are known to be safe
# (CVE-2026-28277).
os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
