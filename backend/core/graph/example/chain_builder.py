"""The chain of `example`: a prompt and the run's model."""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable

from backend.core.graph.example.prompt_manager import PromptManager
from backend.util.language import Language


class ChainBuilder:
    def __init__(self, prompts: PromptManager) -> None:
        self._prompts = prompts

    def reply(self, model: BaseChatModel, language: Language) -> Runnable[dict[str, Any], AIMessage]:
        """Return the chain from `history` and `message` to the reply, which is streamed."""
        prompt = self._prompts.get("reply", language)
        return (prompt.template | model).with_config(run_name=prompt.key, metadata={"prompt": prompt.key})


CHAINS = ChainBuilder(PromptManager())
"""For the nodes: it holds wording alone, so one does for all runs."""
