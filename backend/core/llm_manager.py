"""The chat models, by the names that callers use.

A name is an alias: which model stands behind it is a setting, since models retire. Two names are always there:
`default`, and `extractive`, the built-in model that needs no endpoint.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from backend.config.setting import ModelAlias, Settings
from backend.core.error import UnsupportedModel
from backend.core.model.extractive import ExtractiveChatModel
from backend.core.model.parameter_rule import rule_for
from backend.core.model.usage_meter import UsageMeter

if TYPE_CHECKING:
    import httpx2

    from backend.core.model.endpoint_model import EndpointModel

DEFAULT = "default"
EXTRACTIVE = "extractive"
OPENAI = "https://api.openai.com/v1"
CONNECT_SECONDS = 10.0
"""In which an endpoint must be reached, or one of the connections to it be free."""
_PREFERRED = "gpt-5"


class LLMManager:
    """Hands out chat models; each is built once, when it is first asked for.

    `open` before use where a model is configured: it imports the SDK in a thread and finds the loop. `close` ends the
    connections.
    """

    def __init__(self, settings: Settings, *, first_wait: float = 0.5) -> None:
        """Read the aliases; `first_wait` is the pause, in seconds, before a call is first made again."""
        self._settings = settings
        self._first_wait = first_wait
        self._aliases = _aliases(settings)
        self._models: dict[str, BaseChatModel] = {}
        self._extractive = ExtractiveChatModel()
        self._client: httpx2.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._aliases:
            await asyncio.to_thread(self.get, next(iter(self._aliases)))

    async def close(self) -> None:
        self._models.clear()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @property
    def has_llm(self) -> bool:
        """Whether the default is a language model; otherwise it is the extractive one."""
        return DEFAULT in self._aliases

    def is_extractive(self, alias: str | None = None) -> bool:
        """Return whether the built-in extractive model answers for `alias`."""
        return self._resolve(alias) == EXTRACTIVE

    def names(self) -> list[str]:
        """Return what callers may ask for: the default first, the extractive model last."""
        return [DEFAULT, *(name for name in self._aliases if name != DEFAULT), EXTRACTIVE]

    def get(self, alias: str | None = None) -> BaseChatModel:
        """Return the model that `alias` stands for; None is the default.

        Raises:
            UnsupportedModel: no such alias, or its endpoint is not configured.
        """
        name = self._resolve(alias)
        if name == EXTRACTIVE:
            return self._extractive
        if name not in self._models:
            fallbacks = tuple(
                self._extractive if other == EXTRACTIVE else self._build(other)
                for other in self._settings.llm_fallbacks
                if other != name and (other in self._aliases or other == EXTRACTIVE)
            )
            self._models[name] = self._build(name, fallbacks)
        return self._models[name]

    def meter(self, alias: str | None = None) -> UsageMeter:
        """Return a new usage meter for a run that asked for `alias`.

        Raises:
            UnsupportedModel: as for `get`.
        """
        self._check(alias)
        return UsageMeter(alias or DEFAULT, self._aliases)

    def _resolve(self, alias: str | None) -> str:
        self._check(alias)
        name = alias or DEFAULT
        return EXTRACTIVE if name == DEFAULT and not self.has_llm else name

    def _check(self, alias: str | None) -> None:
        names = self.names()
        if alias is None or alias in names:
            return
        known = ", ".join(names)
        if alias in self._settings.llm_aliases:
            detail = (
                f"The model {alias!r} needs OPENAI_API_KEY or OPENAI_BASE_URL, and neither is set. There are: {known}."
            )
        else:
            detail = f"There is no model {alias[:100]!r}. There are: {known}."
        raise UnsupportedModel(detail, model=alias[:100])

    def _build(self, name: str, fallbacks: tuple[BaseChatModel, ...] = ()) -> "EndpointModel":
        from backend.core.model.endpoint_model import EndpointModel, RetryPolicy

        alias, settings = self._aliases[name], self._settings
        key = alias.api_key if alias.base_url else settings.openai_api_key
        fields: dict[str, Any] = {
            "alias": name,
            "rule": rule_for(alias.target),
            "policy": RetryPolicy(settings.llm_max_retries, self._first_wait),
            "fallbacks": fallbacks,
            "loop": self._loop,
            "model": alias.target,
            "api_key": key or SecretStr("none"),  # the SDK wants one, a local server does not
            "base_url": alias.base_url or settings.openai_base_url or OPENAI,
            "max_tokens": settings.llm_max_tokens,
            "timeout": self._timeout(),
            "stream_chunk_timeout": settings.llm_timeout,
            "max_retries": 0,  # `RetryPolicy` is the one place
            "stream_usage": True,
            "use_responses_api": False,  # the other API has another shape of content
            "http_async_client": self._http(),
            "openai_proxy": "",
        }
        return EndpointModel(**fields)

    def _timeout(self) -> "httpx2.Timeout":
        import httpx2

        return httpx2.Timeout(self._settings.llm_timeout, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS)

    def _http(self) -> "httpx2.AsyncClient":
        """Return the one client of all models: ours, since LangChain's own is kept for good, whatever loop it is of."""
        if self._client is None:
            from openai import DefaultAsyncHttpxClient

            self._client = DefaultAsyncHttpxClient(timeout=self._timeout())
        return self._client


def _aliases(settings: Settings) -> dict[str, ModelAlias]:
    """Return the aliases whose endpoint is configured, the default among them if there is one."""
    usable = {
        name: alias
        for name, alias in settings.llm_aliases.items()
        if (alias.base_url or settings.has_llm) and name != EXTRACTIVE
    }
    if DEFAULT not in usable and settings.has_llm:
        wanted = settings.openai_model or _PREFERRED
        fitting = [usable[wanted]] if wanted in usable else []
        fitting += [alias for alias in usable.values() if alias.target == wanted and not alias.base_url]
        if not fitting:
            fitting = [ModelAlias(target=wanted)] if settings.openai_model else [*usable.values()][:1]
        usable[DEFAULT] = fitting[0] if fitting else ModelAlias(target=wanted)
    return usable
