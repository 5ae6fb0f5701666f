"""What was used of the models, and what is left."""

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from backend.api.dependency import Caller, Settings, UsageReports
from backend.core.error import Forbidden, Invalid, TenantNotFound, Unauthorized
from backend.dto.usage import UsageGroup, UsageReport
from backend.schema.problem import problems
from backend.schema.tenant import TenantId
from backend.schema.usage import CSV_MEDIA_TYPE, OwnUsageRead, UsageReportRead, csv_of
from backend.service.permission import asking_for

router = APIRouter(prefix="/usage", tags=["usage"])

_CSV: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report; with `format=csv` or `Accept: text/csv`, as a table.",
        "content": {CSV_MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}
Since = Annotated[date | None, Query(alias="from", description="The first day; without it, 30 days are reported.")]
Until = Annotated[date | None, Query(alias="to", description="The last day; today without it.")]
GroupBy = Annotated[UsageGroup, Query(description="What a line of the report is of.")]
Accept = Annotated[str | None, Header(include_in_schema=False)]


@router.get(
    "",
    summary="Report usage",
    response_model=UsageReportRead,
    responses=_CSV | problems(Unauthorized, Forbidden, Invalid, TenantNotFound),
)
async def report_usage(
    caller: Caller,
    usage: UsageReports,
    settings: Settings,
    since: Since = None,
    until: Until = None,
    group_by: GroupBy = "day",
    form: Annotated[Literal["json", "csv"] | None, Query(alias="format", description="Wins over `Accept`.")] = None,
    accept: Accept = None,
    tenant_id: Annotated[TenantId | None, Query(description="For an operator: whose, also a deleted one's.")] = None,
) -> Any:
    """Return tokens, cost, calls and waiting of the whole tenant, by day, user, agent or model."""
    report = await usage.report(asking_for(caller, tenant_id), group_by, since, until)
    if _is_csv(form, accept):
        return _table(report)
    return UsageReportRead.of(report, settings.budget_timezone)


@router.get(
    "/me",
    summary="Report one's own usage",
    response_model=OwnUsageRead,
    responses=_CSV | problems(Unauthorized, Invalid),
)
async def report_own_usage(
    caller: Caller,
    usage: UsageReports,
    settings: Settings,
    since: Since = None,
    until: Until = None,
    group_by: GroupBy = "day",
    form: Annotated[Literal["json", "csv"] | None, Query(alias="format", description="Wins over `Accept`.")] = None,
    accept: Accept = None,
) -> Any:
    """Return what the caller used, and what is left of the day's budget."""
    report = await usage.own_report(caller, group_by, since, until)
    if _is_csv(form, accept):
        return _table(report)
    return OwnUsageRead.of_own(report, settings.budget_timezone, await usage.budget(caller))


def _is_csv(form: str | None, accept: str | None) -> bool:
    if form is not None:
        return form == "csv"
    return (accept or "").partition(";")[0].partition(",")[0].strip().lower() == CSV_MEDIA_TYPE


def _table(report: UsageReport) -> Response:
    name = f"usage-{report.group_by}-{report.since}-{report.until}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return Response(csv_of(report), media_type=f"{CSV_MEDIA_TYPE}; charset=utf-8", headers=headers)
