from uuid import uuid4

from langchain_core.messages import AIMessage
from langgraph.constants import START
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from backend.core.graph.context import Context
from backend.core.graph.conversation import history_of, question_of
from backend.core.graph.example.chain_builder import CHAINS
from backend.core.graph.example.graph_state import GraphState, Update
from backend.core.graph.example.prompt_manager import DECLINED
from backend.util.language import language

AFTER = (START,)
READS = ("messages",)
WRITES = ("messages", "answer")

APPROVAL_WORD = "/ask"


async def reply(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Let the model reply to the conversation. Reads `messages`, writes the reply.

    A message that begins with `APPROVAL_WORD` first waits for a person: the run ends as interrupted, and is resumed
    with true or false. The node then runs again from its first line, so nothing outside is touched before `interrupt`.
    """
    said = question_of(state["messages"]).text.strip()
    if said.startswith(APPROVAL_WORD):
        said = said.removeprefix(APPROVAL_WORD).strip()
        if interrupt({"action": "send", "text": said}) is not True:
            declined = DECLINED[language(said)]
            return {"messages": [AIMessage(declined, id=str(uuid4()))], "answer": declined}
    chain = CHAINS.reply(runtime.context.writer, language(said))
    message = await chain.ainvoke({"history": history_of(state["messages"]), "message": said})
    return {"messages": [message], "answer": message.text}
