"""Summaries of tickets: by a language model, whose answer is data until it is checked, or by rules.

What the model writes is parsed into `SummaryFields`, nothing else of it is used; each sentence that states a number,
an id or an address which is not in the ticket is dropped (`grounding.py`), as is what we told the model ourselves. A
ticket that tells the model to write something else can get that into the prose of its own summary, and no further: no
link, no address, no other ticket's data, since the call saw none.
"""

import asyncio
import hashlib
import json
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableConfig
from langgraph.constants import TAG_NOSTREAM
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from backend.core.desk.extractive_summary import FIELD_CHARS, KEYWORD_CHARS, KEYWORDS, Fields, extract_fields
from backend.core.desk.grounding import Grounds, grounded, sentences
from backend.core.desk.prompt import PromptManager
from backend.core.error import UpstreamTimeout
from backend.core.graph.passage_prompt import fenced
from backend.core.graph.prompt import Prompt
from backend.core.model.extractive import MODEL_NAME, ExtractiveChatModel
from backend.dto.desk import Summary, TicketText
from backend.util.language import Language

VERSION = 3
"""Goes up when cleaning, redaction, rules or checks change what a summary says; a kept one is then made anew."""
PART_CHARS = 12_000
"""Most of a ticket that one call of a model reads."""
MAX_PARTS = 8
"""A ticket longer than that many parts is read at its beginning and its end."""
SUMMARY_SECONDS = 180.0
"""In which all calls for one ticket must be done."""
_EXTRACT_PROMPT = f"summary/extract@{VERSION}"
_MAX_ANSWER = 50_000


class SummaryFields(BaseModel):
    """What a model has to write: unknown members are ignored, what is too much is cut."""

    model_config = ConfigDict(extra="ignore")

    problem: str = Field(max_length=20_000)
    cause: str = Field("", max_length=20_000)
    solution: str = Field("", max_length=20_000)
    result: str = Field("", max_length=20_000)
    keywords: list[str] = Field(default_factory=list, max_length=100)

    @field_validator("cause", "solution", "result", mode="before")
    @classmethod
    def _unknown(cls, value: object) -> object:
        return "" if value is None else value

    @field_validator("keywords", mode="before")
    @classmethod
    def _one_text(cls, value: object) -> object:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value or []


@dataclass(frozen=True, slots=True)
class _Answer:
    fields: SummaryFields | None
    """None when it is not of the form."""
    raw: str
    cut: bool
    """Whether the model had no tokens left for the rest."""


def extract_summary(ticket: TicketText, language: Language | None = None) -> Summary:
    """Return a summary by rules, from the ticket's own sentences: quick, always there, in the ticket's language."""
    tongue = language or ticket.language
    return _summary(
        extract_fields(ticket, tongue),
        tongue,
        model=MODEL_NAME,
        prompt=f"{_EXTRACT_PROMPT}.{tongue}",
        digest=summary_digest(ticket, tongue),
    )


def summary_digest(
    ticket: TicketText,
    language: Language,
    *,
    model: str = MODEL_NAME,
    target: str = "",
    prompts: PromptManager | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> str:
    """Return the SHA-256 of all that a summary is made from, as canonical JSON: any other of it is another summary.

    Args:
        ticket: Its content hash stands for it.
        language: Of the summary.
        model: The alias.
        target: The model that the alias stands for today.
        prompts: Where a language model writes: its prompts' versions count.
        parameters: Of the calls.
    """
    names = () if prompts is None else ("summarize", "combine", "repair")
    record = {
        "ticket": str(ticket.ticket),
        "content": ticket.content_hash,
        "status": [ticket.status, ticket.status_name],
        "language": language,
        "model": model,
        "target": target,
        "prompts": [prompts.get(name, language).key for name in names] if prompts else [_EXTRACT_PROMPT],
        "parameters": {"version": VERSION, "part_chars": PART_CHARS, "max_parts": MAX_PARTS, **(parameters or {})},
    }
    return hashlib.sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).hexdigest()


class Summarizer:
    """Summarises with whatever model it is given."""

    def __init__(self, prompts: PromptManager | None = None, *, seconds: float = SUMMARY_SECONDS) -> None:
        self._prompts = prompts or PromptManager()
        self._seconds = seconds

    def digest(
        self,
        ticket: TicketText,
        model: BaseChatModel,
        language: Language,
        *,
        alias: str,
        parameters: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the digest of the summary that `summarize` would make."""
        if isinstance(model, ExtractiveChatModel):
            return summary_digest(ticket, language)
        target = str(getattr(model, "model_name", ""))
        return summary_digest(
            ticket, language, model=alias, target=target, prompts=self._prompts, parameters=parameters
        )

    async def summarize(
        self,
        ticket: TicketText,
        model: BaseChatModel,
        language: Language,
        *,
        alias: str,
        parameters: Mapping[str, Any] | None = None,
        config: RunnableConfig | None = None,
    ) -> Summary:
        """Return the ticket's summary, in at most `MAX_PARTS` + 2 calls; with the built-in model by rules, in none.

        Raises:
            UpstreamTimeout: the calls took too long altogether.
            DomainError: the model failed.
        """
        if isinstance(model, ExtractiveChatModel):
            return await asyncio.to_thread(extract_summary, ticket, language)
        parts, truncated = _parts(ticket)
        grounds = await asyncio.to_thread(Grounds, _all_text(ticket))
        calls: RunnableConfig = {**(config or {}), "tags": [*(config or {}).get("tags", ()), TAG_NOSTREAM]}
        try:
            async with asyncio.timeout(self._seconds):
                prompt, answer = await self._answer(ticket, parts, model, language, calls)
        except TimeoutError:
            raise UpstreamTimeout(
                f"The model {alias!r} did not summarise the ticket in {self._seconds:.0f} s.", model=alias
            ) from None
        ruled = await asyncio.to_thread(extract_fields, ticket, language)
        fields = ruled if answer.fields is None else _checked(answer.fields, grounds, self._told(language), ruled)
        fallback = answer.fields is None or answer.cut
        return _summary(
            fields,
            language,
            model=MODEL_NAME if answer.fields is None else alias,
            prompt=prompt.key,
            digest=self.digest(ticket, model, language, alias=alias, parameters=parameters),
            truncated=truncated,
            fallback=fallback,
        )

    async def _answer(
        self,
        ticket: TicketText,
        parts: Sequence[str],
        model: BaseChatModel,
        language: Language,
        config: RunnableConfig,
    ) -> tuple[Prompt, _Answer]:
        whole = self._prompts.get("summarize", language)
        if len(parts) == 1:
            prompt, message = whole, parts[0]
        else:
            made = await _together([self._ask(whole, part, model, config) for part in parts])
            fields = [one.fields for one in made if one.fields is not None]
            if not fields:
                return whole, made[0]
            prompt = self._prompts.get("combine", language)
            message = _combined(ticket, fields)
        answer = await self._ask(prompt, message, model, config)
        if answer.fields is None and answer.raw.strip() and not answer.cut:
            repair = self._prompts.get("repair", language)
            answer = await self._ask(repair, f"<answer>{fenced(answer.raw[:PART_CHARS])}</answer>", model, config)
        return prompt, answer

    async def _ask(self, prompt: Prompt, message: str, model: BaseChatModel, config: RunnableConfig) -> _Answer:
        messages = await prompt.template.aformat_messages(message=message)
        said = await model.ainvoke(
            messages, {**config, "metadata": {**config.get("metadata", {}), "prompt": prompt.key}}
        )
        cut = said.response_metadata.get("finish_reason") == "length"
        return _Answer(None if cut else parse_fields(said.text), said.text, cut)

    def _told(self, language: Language) -> frozenset[str]:
        """Return the sentences that we tell the model, which no summary repeats."""
        return frozenset(
            sentence
            for name in ("summarize", "combine")
            for sentence in sentences(self._prompts.get(name, language).template.format_messages(message="")[0].text)
        )


def parse_fields(answer: str) -> SummaryFields | None:
    """Return the fields of a model's answer: of the JSON object in it, whatever stands around; None without one."""
    text = answer[:_MAX_ANSWER]
    start = text.find("{")
    if start < 0:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text, start)
        return SummaryFields.model_validate(found)
    except (ValueError, RecursionError, ValidationError):
        return None


async def _together(asked: Sequence[Coroutine[Any, Any, _Answer]]) -> list[_Answer]:
    """Return all answers; when one call fails the others are stopped, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in asked]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


def _checked(written: SummaryFields, grounds: Grounds, told: frozenset[str], ruled: Fields) -> Fields:
    """Return what holds of a model's fields; what must be there and does not hold is by rules."""

    def field(text: str) -> str:
        return grounded(text, grounds, FIELD_CHARS, told)

    keywords: dict[str, None] = {}
    for keyword in (*written.keywords[:20], *ruled.keywords):
        plain = grounded(keyword, grounds, KEYWORD_CHARS).strip(" .#\"'")
        if plain and len(plain) <= KEYWORD_CHARS and len(keywords) < KEYWORDS:
            keywords[plain] = None
    return Fields(
        problem=field(written.problem) or ruled.problem,
        cause=field(written.cause),
        solution=field(written.solution),
        result=field(written.result) or ruled.result,
        keywords=tuple(keywords),
    )


def _summary(
    fields: Fields,
    language: Literal["ko", "en"],
    *,
    model: str,
    prompt: str,
    digest: str,
    truncated: bool = False,
    fallback: bool = False,
) -> Summary:
    return Summary(
        problem=fields.problem,
        cause=fields.cause,
        solution=fields.solution,
        result=fields.result,
        keywords=fields.keywords,
        language=language,
        model=model,
        prompt=prompt,
        digest=digest,
        truncated=truncated,
        fallback=fallback,
    )


def _all_text(ticket: TicketText) -> str:
    return "\n".join([ticket.title, ticket.status_name, *(str(message["text"]) for message in ticket.messages)])


def _head(ticket: TicketText) -> str:
    return f'title="{fenced(ticket.title, quote=True)}" status="{fenced(ticket.status_name, quote=True)}"'


def _parts(ticket: TicketText) -> tuple[list[str], bool]:
    """Return the messages for the model, one ticket in each, and whether some of the ticket is left out."""
    pieces: list[str] = []
    for message in ticket.messages:
        private = "true" if message["private"] else "false"
        text = str(message["text"])
        for at in range(0, len(text), PART_CHARS):
            piece = fenced(text[at : at + PART_CHARS])
            pieces.append(f'<message author="{message["author"]}" private="{private}">\n{piece}\n</message>')
    groups: list[list[str]] = [[]]
    room = PART_CHARS
    for piece in pieces:
        if groups[-1] and len(piece) > room:
            groups.append([])
            room = PART_CHARS
        groups[-1].append(piece)
        room -= len(piece)
    truncated = len(groups) > MAX_PARTS
    if truncated:
        half = MAX_PARTS // 2
        groups = groups[:half] + groups[-half:]
    head = _head(ticket)
    return [f"<ticket {head}>\n" + "\n".join(group) + "\n</ticket>" for group in groups], truncated


def _combined(ticket: TicketText, parts: Sequence[SummaryFields]) -> str:
    """Return the message that shows the summaries of a ticket's parts, each cut so that all fit into one call."""
    room = PART_CHARS // (5 * len(parts))
    shown = []
    for number, part in enumerate(parts, start=1):
        fields = {name: text[:room] for name, text in part.model_dump(exclude={"keywords"}).items()}
        fields["keywords"] = ", ".join(part.keywords[:KEYWORDS])[:200]
        shown.append(f'<part number="{number}">{fenced(json.dumps(fields, ensure_ascii=False))}</part>')
    head = _head(ticket)
    return f"<parts {head}>\n" + "\n".join(shown) + "\n</parts>"
