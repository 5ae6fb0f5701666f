"""The chains of `copilot`: a prompt and the run's model."""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable

from backend.core.graph.copilot.prompt_manager import PromptManager
from backend.util.language import Language

Chain = Runnable[dict[str, Any], AIMessage]


class ChainBuilder:
    def __init__(self, prompts: PromptManager) -> None:
        self._prompts = prompts

    def draft(self, model: BaseChatModel, language: Language) -> Chain:
        """Return the chain from `message` (the ticket, passages, the agent's wish) to a draft, which is streamed."""
        prompt = self._prompts.get("draft", language)
        chain = prompt.template | model
        return chain.with_config(run_name=prompt.key, metadata={"prompt": prompt.key})


CHAINS = ChainBuilder(PromptManager())
"""For the nodes: it holds wording alone, so one does for all runs."""
