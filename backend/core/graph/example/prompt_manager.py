"""What the `example` agent says to the model."""

from typing import ClassVar

from backend.core.graph.prompt import Prompts, PromptText
from backend.util.language import Language

DECLINED: dict[Language, str] = {
    "ko": "알겠습니다. 보내지 않았습니다.",
    "en": "All right, I did not send it.",
}
"""The reply when a person turned the message down."""


class PromptManager(Prompts):
    """The prompts of `example`. Change a wording by adding it with the next version number."""

    AGENT: ClassVar = "example"
    PROMPTS: ClassVar = (
        PromptText("reply", 1, "ko", system="당신은 친절한 도우미입니다. 한국어로 짧고 정확하게 답하세요."),
        PromptText("reply", 1, "en", system="You are a friendly assistant. Answer in English, briefly and exactly."),
    )
