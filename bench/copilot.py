"""Does the copilot find what answers a ticket, and know when nothing does? `python -m bench.copilot`

A server in this process collects the demo's desk from the simulated Freshdesk; each ticket is then asked about as the
copilot does. For every problem of the demo it is known which articles answer it. What is printed, by language:

- articles: how often one that answers is the first, or among the first four; how often there is `enough` for a draft
  when some article answers, and (`false`) when none does, because there is none or those that do were hidden;
- similar tickets: how often the first, and the first three, are of the same problem; how often there is `enough`, and
  (`false`) when all tickets of the problem were hidden; how many answers a draft would follow, and how many of them
  are of the same problem.

`before` asks with the whole first message, once, and trusts the gate of the answer agent. From which evidence on there
is enough is chosen on every other kind of problem, the `chosen` rows; `measured` are the others. An article and its
translations are one.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import uvloop
from loguru import logger
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from backend.config.setting import Settings
from backend.container import Container
from backend.core.desk.ticket_query import queries_of
from backend.core.graph.copilot.node.gate import EARLIER, NEAR
from backend.core.retrieval.fusion import rank_together
from backend.core.retrieval.hybrid_search import Ranking
from backend.dto.desk import TicketText
from backend.dto.knowledge import KNOWLEDGE, Corpus
from backend.dto.ticket import TicketFilter
from backend.main import create_app, whole_life
from backend.repository.article import ArticleRepository
from backend.repository.document import DocumentRepository
from backend.repository.ticket import TicketRepository
from backend.service.desk import ARTICLES
from backend.service.similar import ALIKE
from backend.service.support_index import ARTICLE
from backend.service.ticket_passages import TICKETS, asked_in, names_of, ticket_of
from backend.service.ticket_text import read_ticket_text
from backend.simulator.freshdesk import DEMO_KEY, FreshdeskSimulator, demo_account
from backend.simulator.freshdesk.story import FAMILIES

TENANT = "default"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
COLLECT_SECONDS = 120
ANSWERS: dict[str, tuple[str, ...]] = {
    "password-reset-mail": ("비밀번호 재설정 메일이 오지 않을 때",),
    "account-locked": ("계정이 잠겼을 때 (E-1101)",),
    "login-loop": ("로그인 화면이 반복될 때",),
    "invite-expired": ("직원 초대와 역할",),
    "owner-change": ("워크스페이스 소유자 변경",),
    "card-declined": ("결제 실패 코드 (PAY-14, PAY-51, PAY-61)",),
    "tax-invoice": ("전자세금계산서 발행",),
    "plan-change": ("요금제 비교와 변경",),
    "coupon-rejected": ("쿠폰과 할인 코드",),
    "cancel-subscription": ("구독 해지와 데이터 보관",),
    "tracking-not-updating": ("배송 상태가 바뀌지 않을 때",),
    "label-printing": ("송장 출력 오류 (PRT-03)와 출력 도우미", "송장 위치 보정"),
    "wrong-address": ("배송지 변경과 반송",),
    "orders-missing": ("주문이 수집되지 않을 때 (SYNC-401)",),
    "stock-mismatch": ("재고가 실제와 다를 때",),
    "return-pickup": ("반품과 교환 처리",),
    "bulk-upload": ("상품 대량등록 양식 v5 (UPL-12)",),
    "customs-number": ("해외 배송과 개인통관고유부호",),
    "api-signature": ("API 인증과 서명", "오류 코드 모음"),
    "api-rate-limit": ("호출 한도와 재시도 (E-2001)",),
    "webhook-timeout": ("웹훅 받기와 재시도",),
    "webhook-duplicate": ("웹훅 받기와 재시도",),
    "oauth-expired": ("OAuth 토큰 갱신 (E-1015)",),
    "api-pagination": ("목록 읽기: 커서와 변경분",),
    "ip-allowlist": ("오류 코드 모음", "웹훅 받기와 재시도"),
    "channel-disconnected": ("오류 코드 모음",),
    "app-crash": ("앱이 강제 종료될 때",),
    "push-missing": ("푸시 알림이 오지 않을 때",),
    "barcode-scan": ("바코드 스캔 설정",),
    "csv-garbled": ("내보내기: 한글 깨짐과 행 수 제한 (EXP-08)",),
    "export-failed": ("내보내기: 한글 깨짐과 행 수 제한 (EXP-08)",),
    "image-upload": ("상품 이미지 규격 (IMG-05)",),
}
"""The articles for everybody that answer a problem. The others' answers are for members, or nowhere."""


@dataclass(frozen=True)
class Asked:
    """A ticket whose problem is known."""

    id: UUID
    family: str
    text: TicketText


@asynccontextmanager
async def collected(folder: Path) -> AsyncIterator[Container]:
    """Serve nobody, and have collected and indexed the demo's desk."""
    account = demo_account(now=NOW)
    with FreshdeskSimulator(account, plan="unlimited") as freshdesk:
        settings = Settings(
            _env_file=None,
            data_dir=folder,
            sample_corpus=False,
            sync_interval_minutes=0,
            freshdesk_url=urlsplit(freshdesk.url)._replace(path="").geturl(),
            freshdesk_domain=f"{account.subdomain}.freshdesk.com",
            freshdesk_api_key=SecretStr(DEMO_KEY),
        )
        container = Container(settings=settings)
        async with whole_life(create_app(container)):
            async with asyncio.timeout(COLLECT_SECONDS):
                while not await _is_done(container, len(account.ids())):  # noqa: ASYNC110 - others do the work
                    await asyncio.sleep(0.5)
            yield container


async def _is_done(container: Container, tickets: int) -> bool:
    every = TicketFilter(spam=None, deleted=None)
    waiting = TicketFilter(spam=None, deleted=None, is_processed=False)
    here, left, articles = await container.database().read(
        lambda c: (
            TicketRepository(c, TENANT).count(every),
            TicketRepository(c, TENANT).count(waiting) + len(ArticleRepository(c, TENANT).unprocessed(1)),
            ArticleRepository(c, TENANT).count(),
        )
    )
    return here >= tickets * 0.9 and articles > 0 and left == 0


async def asked_of(container: Container) -> list[Asked]:
    database = container.database()
    kept = await database.read(lambda c: TicketRepository(c, TENANT).walk(TicketFilter(), 1_000))
    found = []
    for ticket in kept:
        tags = set(ticket.data.tags)
        families = [family for family in FAMILIES if set(family.tags) <= tags]
        if families and ticket.data.merged_into is None:
            family = max(families, key=lambda one: len(one.tags)).name
            found.append(Asked(ticket.id, family, await read_ticket_text(database, TENANT, str(ticket.id))))
    return found


@dataclass(frozen=True, slots=True)
class Library:
    """The articles that were collected, by the title of any of their versions."""

    originals: dict[str, str]
    """Which article a source is a version of."""
    documents: dict[str, set[str]]
    """The documents of an article's versions."""
    titles: dict[str, str]

    def right(self, family: str) -> set[str]:
        return {self.titles[title] for title in ANSWERS.get(family, ())}


async def library_of(container: Container) -> Library:
    database = container.database()
    kept = await database.read(lambda c: DocumentRepository(c, TENANT).list((KNOWLEDGE,), limit=1_000))
    ids = {one.source: UUID(one.source.removeprefix(ARTICLE)) for one in kept if one.source.startswith(ARTICLE)}
    known = await database.read(lambda c: ArticleRepository(c, TENANT).originals([*ids.values()]))
    library = Library({source: known[article] for source, article in ids.items()}, {}, {})
    for one in kept:
        if (original := library.originals.get(one.source)) is not None:
            library.documents.setdefault(original, set()).add(str(one.document_id))
            library.titles[one.title] = original
    return library


async def _rank(container: Container, text: TicketText, corpus: Corpus, without: Sequence[str], new: bool) -> Ranking:
    ranker = container.search().bound(TENANT, corpus)
    if not new:
        return await ranker.rank(f"{text.title}\n{asked_in(text)}"[:1_000], without=without)
    if corpus == TICKETS:
        return await rank_together(ranker, queries_of(text), ALIKE, without=without)
    one_language = container.one_language_search().bound(TENANT, corpus).asked_in(text.language)
    found = await rank_together(one_language, queries_of(text), ARTICLES, without=without, kind="articles")
    return await one_language.narrowed(found, text.language)


async def articles(container: Container, asked: Sequence[Asked], library: Library, new: bool) -> tuple[str, ...]:
    first = four = enough = false = answerable = unanswerable = 0
    for one in asked:
        right = library.right(one.family)
        ranking = await _rank(container, one.text, KNOWLEDGE, (), new)
        if not right:
            unanswerable += 1
            false += ranking.enough
            continue
        answerable += 1
        enough += ranking.enough
        found = list(dict.fromkeys(library.originals.get(passage.source, "") for passage in ranking.merged(4)))
        first += bool(found) and found[0] in right
        four += bool(right.intersection(found))
        hidden = [name for original in right for name in library.documents[original]]
        unanswerable += 1
        false += (await _rank(container, one.text, KNOWLEDGE, hidden, new)).enough
    return (
        f"{first / answerable:.2f}",
        f"{four / answerable:.2f}",
        f"{enough / answerable:.2f}",
        f"{false / unanswerable:.2f}",
    )


async def similar(
    container: Container, asked: Sequence[Asked], families: dict[UUID, str], new: bool
) -> tuple[str, ...]:
    first = three = enough = false = cited = right = 0
    for one in asked:
        ranking = await _rank(container, one.text, TICKETS, names_of(one.id), new)
        scores: dict[UUID, float] = {}
        for passage in ranking.passages:
            scores.setdefault(ticket_of(passage.document_id), passage.score)
        same = [families.get(ticket) == one.family for ticket in scores]
        first += same[0]
        three += sum(same[:3])
        enough += ranking.enough
        if ranking.enough:
            best = max(scores.values())
            near = [ticket for ticket, score in scores.items() if not new or score >= NEAR * best][:EARLIER]
            cited += len(near)
            right += sum(families.get(ticket) == one.family for ticket in near)
        hidden = [name for ticket, family in families.items() if family == one.family for name in names_of(ticket)]
        false += (await _rank(container, one.text, TICKETS, hidden, new)).enough
    count = len(asked)
    shares = (first / count, three / count / 3, enough / count, false / count, cited / count, right / max(cited, 1))
    return tuple(f"{share:.2f}" for share in shares)


async def main() -> None:
    logger.remove()
    console = Console(width=120)
    found = Table("articles", "tickets", "first", "of four", "enough", "false")
    alike = Table("similar tickets", "tickets", "first", "of three", "enough", "false", "followed", "right")
    with tempfile.TemporaryDirectory() as folder:
        async with collected(Path(folder)) as container:
            asked = await asked_of(container)
            families = {one.id: one.family for one in asked}
            library = await library_of(container)
            names = sorted(set(families.values()))
            halves = {"before": names, "now": names, "chosen": names[::2], "measured": names[1::2]}
            for which, chosen in halves.items():
                new = which != "before"
                for language in ("ko", "en"):
                    some = [one for one in asked if one.text.language == language and one.family in chosen]
                    name = f"{language}, {which}"
                    found.add_row(name, str(len(some)), *await articles(container, some, library, new))
                    alike.add_row(name, str(len(some)), *await similar(container, some, families, new))
    console.print(found, alike)


if __name__ == "__main__":
    uvloop.run(main())
