"""What the families of models want to be asked differently: data, so that a new family is a new row."""

import re
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class ParameterRule:
    """How requests to one family of models are written."""

    family: re.Pattern[str]
    """Matches the start of the model's name at the endpoint."""
    refused: frozenset[str] = frozenset()
    """Parameters that the family answers with a 400: they are left out."""
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the family calls the most tokens of an answer."""
    reasoning_reserve: int = 0
    """Tokens on top of that limit: a reasoning model thinks within it, and too small a limit gives an empty answer."""
    system_role: Literal["system", "developer"] = "system"

    def apply(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return `payload`, a Chat Completions request, as the family wants it."""
        fitted = {name: value for name, value in payload.items() if name not in self.refused}
        limits = [fitted.pop(name, None) for name in ("max_tokens", "max_completion_tokens")]
        limit = next((value for value in limits if value is not None), None)
        if limit is not None:
            fitted[self.limit] = limit + self.reasoning_reserve
        if self.system_role != "system":
            fitted["messages"] = [
                {**message, "role": self.system_role} if message["role"] == "system" else message
                for message in fitted["messages"]
            ]
        return fitted


_SAMPLING = frozenset(
    {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias"}
)

RULES: tuple[ParameterRule, ...] = (
    ParameterRule(re.compile(r"gpt-\d+(\.\d+)?-chat|chatgpt-"), limit="max_completion_tokens"),
    ParameterRule(
        re.compile(r"o\d"),
        refused=_SAMPLING | {"stop"},
        limit="max_completion_tokens",
        reasoning_reserve=4096,
        system_role="developer",
    ),
    ParameterRule(
        re.compile(r"gpt-([5-9]|\d\d)"),
        refused=_SAMPLING | {"stop"},
        limit="max_completion_tokens",
        reasoning_reserve=4096,
    ),
    ParameterRule(re.compile(r"gpt-"), limit="max_completion_tokens"),
    # Any other model stands behind another server, of which the older ones know the older name alone.
    ParameterRule(re.compile(r"")),
)
"""The first that matches holds."""


def rule_for(target: str) -> ParameterRule:
    """Return the rule for a model by its name at the endpoint, a `vendor/` in front of it left out."""
    name = target.rpartition("/")[2].lower()
    return next(rule for rule in RULES if rule.family.match(name))
