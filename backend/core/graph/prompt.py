"""Prompts with a version each, in Korean and English."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder

from backend.util.language import Language

HISTORY = "history"
"""The variable of the messages before the question; may be left out."""


@dataclass(frozen=True, slots=True)
class PromptText:
    """One wording of one prompt. Changed wording is a new version: traces and caches tell answers apart by it."""

    name: str
    version: int
    language: Language
    system: str
    human: str = "{message}"


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt, ready to be filled in."""

    key: str
    """Agent, name, version and language, e.g. `answer/generate@1.ko`: what a trace shows."""
    template: ChatPromptTemplate


class Prompts:
    """The prompts of one agent; each agent's `PromptManager` lists its own in `PROMPTS`."""

    AGENT: ClassVar[str]
    PROMPTS: ClassVar[Sequence[PromptText]]

    def __init__(self) -> None:
        self._made: dict[tuple[str, Language, int | None], Prompt] = {}

    def get(self, name: str, language: Language, version: int | None = None) -> Prompt:
        """Return a prompt: its newest version, or the one asked for.

        Raises:
            KeyError: the agent has no such prompt.
        """
        key = (name, language, version)
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def _make(self, name: str, language: Language, version: int | None) -> Prompt:
        fitting = [
            text
            for text in self.PROMPTS
            if text.name == name and text.language == language and version in {None, text.version}
        ]
        if not fitting:
            raise KeyError(f"{self.AGENT} has no prompt {name!r} in {language!r}, version {version or 'any'}")
        text = max(fitting, key=lambda each: each.version)
        template = ChatPromptTemplate.from_messages(
            [("system", text.system), MessagesPlaceholder(HISTORY, optional=True), ("human", text.human)]
        )
        return Prompt(f"{self.AGENT}/{name}@{text.version}.{language}", template)
