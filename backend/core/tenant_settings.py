"""What a tenant may choose for itself."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.core.error import Invalid


class TenantSettings(BaseModel):
    """The settings of a tenant, all with a default; a name that is not here is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: Literal["ko", "en", "auto"] = Field("auto", description="Of answers and summaries; `auto` is the text's.")
    external_llm: bool = Field(
        True,
        description=(
            "Whether text may go to a configured language model. Without, the built-in extractive model answers, drafts"
            " and summarises. The graphs of a langgraph.json bring their own models and are not concerned; nor is the"
            " embedding model, which is one of the server's settings."
        ),
    )
    retention_days: int | None = Field(
        None, ge=1, le=3650, description="Days after which collected tickets are removed; null keeps them."
    )
    summaries: Literal["on_demand", "all"] = Field(
        "on_demand", description="Whether a language model summarises tickets when asked to, or all of them."
    )

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> Self:
        """Return settings.

        Raises:
            Invalid: a name or a value is none of ours.
        """
        try:
            return cls.model_validate(dict(kept))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part)[:100] for part in first["loc"])
            raise Invalid(f"settings.{place}: {first['msg']}") from None

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Return settings with some of them replaced; None puts a default back.

        Raises:
            Invalid: a name or a value is none of ours.
        """
        kept = self.model_dump(exclude_defaults=True) | dict(changes)
        if unknown := sorted(set(kept) - set(type(self).model_fields)):
            raise Invalid(f"There is no setting {unknown[0][:100]!r}.")
        return self.read({name: value for name, value in kept.items() if value is not None})
