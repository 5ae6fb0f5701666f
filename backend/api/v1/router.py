"""`/api/v1`: the doors of the user's own applications."""

from fastapi import APIRouter

from backend.api.v1 import agent, chat, citation, knowledge, run, thread

router = APIRouter(prefix="/api/v1")
for part in (agent, thread, chat, run, knowledge, citation):
    router.include_router(part.router)
