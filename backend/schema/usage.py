"""Usage on the wire."""

import csv
import io
from datetime import date, datetime
from typing import Self

from pydantic import BaseModel, Field

from backend.dto.usage import BudgetState, UsageGroup, UsageReport, UsageSum

CSV_MEDIA_TYPE = "text/csv"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a cell must not begin with, or a spreadsheet takes it for a formula (OWASP, CSV injection)."""
_COLUMNS = ("runs", "calls", "input_tokens", "output_tokens", "tokens", "cost", "latency", "estimated")


class UsageSumRead(BaseModel):
    """What several runs used of the models."""

    runs: int = Field(examples=[120], description="Runs, and pieces of the server's own work, that called a model.")
    calls: int = Field(examples=[310], description="Calls of models.")
    input_tokens: int = Field(examples=[402_000])
    output_tokens: int = Field(examples=[38_500])
    tokens: int = Field(examples=[440_500], description="Both together.")
    cost: float = Field(examples=[1.93], description="US dollars, by the prices of the models' names.")
    latency: float = Field(examples=[412.5], description="Seconds of waiting for models, all together.")
    estimated: int = Field(examples=[3], description="How many of the runs have tokens that the server estimated.")

    @classmethod
    def of(cls, found: UsageSum) -> Self:
        return cls(**_numbers(found))


class UsageGroupRead(UsageSumRead):
    """One line of a report."""

    key: str | None = Field(
        examples=["2026-11-21"], description="The day, user, agent or model; None is what belongs to no agent."
    )


class UsageReportRead(BaseModel):
    """What was used from one day to another, both included."""

    since: date = Field(alias="from", serialization_alias="from")
    until: date = Field(alias="to", serialization_alias="to")
    group_by: UsageGroup
    timezone: str = Field(examples=["Asia/Seoul"], description="Whose days these are.")
    items: list[UsageGroupRead] = Field(description="Days in their order; else what cost most first, at most 1000.")
    total: UsageSumRead = Field(description="Of all, also of what is not listed.")
    complete: bool = Field(description="Whether all is listed.")

    @classmethod
    def of(cls, report: UsageReport, timezone: str) -> Self:
        return cls.model_validate(_report(report, timezone))


class BudgetRead(BaseModel):
    """How today's budget stands."""

    day: date
    resets_at: datetime
    tokens: int = Field(description="What the caller used today.")
    cost: float = Field(description="US dollars.")
    remaining_tokens: int | None = Field(description="Until the next run is refused; None: there is no limit.")
    remaining_cost: float | None

    @classmethod
    def of(cls, state: BudgetState) -> Self:
        return cls(
            day=state.day,
            resets_at=state.resets_at,
            tokens=state.tokens,
            cost=state.cost,
            remaining_tokens=state.remaining_tokens,
            remaining_cost=state.remaining_cost,
        )


class OwnUsageRead(UsageReportRead):
    """What the caller used, and what is left."""

    budget: BudgetRead

    @classmethod
    def of_own(cls, report: UsageReport, timezone: str, state: BudgetState) -> Self:
        return cls.model_validate({**_report(report, timezone), "budget": BudgetRead.of(state)})


def csv_of(report: UsageReport) -> str:
    """Return a report as a table with a head; texts that a spreadsheet would compute stand behind a `'`."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow((report.group_by, *_COLUMNS))
    for key, found in report.groups:
        numbers = _numbers(found)
        writer.writerow((_cell(key or ""), *(numbers[name] for name in _COLUMNS)))
    return text.getvalue()


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _report(report: UsageReport, timezone: str) -> dict[str, object]:
    return {
        "from": report.since,
        "to": report.until,
        "group_by": report.group_by,
        "timezone": timezone,
        "items": [UsageGroupRead(key=key, **_numbers(found)) for key, found in report.groups],
        "total": UsageSumRead.of(report.total),
        "complete": report.complete,
    }


def _numbers(found: UsageSum) -> dict[str, float]:
    return {name: getattr(found, name) for name in _COLUMNS}
