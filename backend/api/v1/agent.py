"""Which agents can be asked, and with which models."""

from fastapi import APIRouter

from backend.api.dependency import Agents, Caller, Models
from backend.core.error import Unauthorized
from backend.schema.agent_list import AgentList, AgentRead
from backend.schema.problem import problems

router = APIRouter(prefix="/agents", tags=["agents"])


@router.get("", summary="List the agents", responses=problems(Unauthorized))
async def list_agents(caller: Caller, agents: Agents, models: Models) -> AgentList:
    """Return the agents for the field `agent`, and the aliases for the field `model`."""
    described = [agents.describe(name) for name in agents.names()]
    return AgentList(
        items=[AgentRead(name=info.name, title=info.title, description=info.description) for info in described],
        models=models.names(),
        has_llm=models.has_llm,
    )
