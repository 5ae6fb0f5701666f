"""The chains of `answer`: a prompt and the run's model."""

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from langgraph.constants import TAG_NOSTREAM

from backend.core.graph.answer.prompt_manager import PromptManager
from backend.util.language import Language

Chain = Runnable[dict[str, Any], AIMessage]


class ChainBuilder:
    def __init__(self, prompts: PromptManager) -> None:
        self._prompts = prompts

    def condense(self, model: BaseChatModel, language: Language) -> Chain:
        """Return the chain from `history` and `message` to a question that stands alone; its words are not streamed."""
        return self._chain("condense", model, language, TAG_NOSTREAM)

    def generate(self, model: BaseChatModel, language: Language) -> Chain:
        """Return the chain from `history` and `message` (`passage_prompt.render`) to the answer, which is streamed."""
        return self._chain("generate", model, language)

    def _chain(self, name: str, model: BaseChatModel, language: Language, *tags: str) -> Chain:
        prompt = self._prompts.get(name, language)
        chain = prompt.template | model
        return chain.with_config(run_name=prompt.key, tags=list(tags), metadata={"prompt": prompt.key})


CHAINS = ChainBuilder(PromptManager())
"""For the nodes: it holds wording alone, so one does for all runs."""
