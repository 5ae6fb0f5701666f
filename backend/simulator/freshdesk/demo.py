"""Fills an account with the demo desk: its people, its knowledge base and a year of tickets."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from backend.simulator.freshdesk import sample_file
from backend.simulator.freshdesk.account import Account, File
from backend.simulator.freshdesk.blank import stamp
from backend.simulator.freshdesk.content.family import Language
from backend.simulator.freshdesk.content.thread import DELETED, MERGED, SPAM, THREADS, Thread
from backend.simulator.freshdesk.desk import SUPPORT, Desk, make_desk
from backend.simulator.freshdesk.knowledge import fill_knowledge, past_file
from backend.simulator.freshdesk.story import (
    FAMILIES,
    Story,
    plan,
    render,
    tell,
    write_message,
    write_thread,
    write_ticket,
)
from backend.simulator.freshdesk.text import text_of

Json = dict[str, Any]
DEMO_KEY = "daedap-demo-api-key"
"""The key of the demo's administrator."""
AGENT_KEY = "daedap-agent-api-key"
"""The key of an agent who may see the tickets of one group only, and no lists of people."""
_TELLINGS: tuple[tuple[Language, int], ...] = (
    ("ko", 0),
    ("ko", 1),
    ("ko", 2),
    ("en", 0),
    ("en", 1),
    ("ko", 0),
    ("ko", 1),
    ("en", 0),
)
"""How often a family's problem comes, in which language and wording."""
_DAYS = 380
_TIDY_DAY = 45
"""So many days ago somebody changed very many tickets at once: more than a page has the same `updated_at`."""
_TIDIED = 130
_MERGED_FAMILIES = ("login-loop", "double-charge", "webhook-timeout", "app-crash")
_FIRST_MESSAGE = 43_100_000_000


def fill_desk(account: Account, now: datetime) -> Desk:
    """Give an account its people, its keys and its knowledge base."""
    desk = make_desk(now)
    account.agents, account.groups = desk.agents, desk.groups
    account.companies, account.contacts = desk.companies, desk.contacts
    account.ticket_fields = desk.ticket_fields
    agents = list(desk.agents)
    account.api_keys = {DEMO_KEY: agents[0], AGENT_KEY: agents[-1]}
    fill_knowledge(account, desk, now)
    return desk


def fill(account: Account, seed: int, now: datetime) -> None:
    """Make an account the demo's."""
    desk = fill_desk(account, now)
    rng, end = Random(seed), int(now.timestamp())
    drafts: list[tuple[int, Callable[[int, int], None]]] = []
    for position, _ in enumerate(FAMILIES):
        for language, said in _TELLINGS:
            created = end - 3_600 - int(_DAYS * 86_400 * rng.random() ** 1.6)
            drafts.append((created, _family_writer(account, desk, seed, end, position, language, said)))
    for thread in THREADS:
        created = end - rng.randrange(3, 90) * 86_400 - rng.randrange(80_000)
        drafts.append((created, _thread_writer(account, desk, seed, thread)))
    for text, flag in (*((text, "spam") for text in SPAM), *((text, "deleted") for text in DELETED)):
        created = end - rng.randrange(1, 60) * 86_400
        drafts.append((created, _odd_writer(account, desk, seed, text, flag)))
    for number, (created, write) in enumerate(sorted(drafts, key=lambda draft: draft[0]), 1):
        write(number, created)
    _tidy(account, end)
    _merge(account, desk, seed, now)


def _family_writer(
    account: Account, desk: Desk, seed: int, end: int, family: int, language: Language, said: int
) -> Callable[[int, int], None]:
    def write(number: int, created: int) -> None:
        rng = Random(seed * 7_001 + number)
        age = (end - created) / 86_400
        status = (4 if rng.random() < 0.2 else 5) if age > 21 else rng.choice((2, 2, 3, 4, 4, 5, 6, 7))
        story = tell(seed, number, desk, at=created, family=family, language=language, said=said)
        lines = plan(story, status)
        lasted = int(len(lines) * rng.uniform(0.2, 14) * 3_600)
        updated = min(created + lasted, end)
        ticket = write_ticket(story, number, desk, created=created, updated=updated, status=status)
        messages = write_thread(story, lines, number, _FIRST_MESSAGE + number * 1_000, created=created, updated=updated)
        _put(account, ticket, messages, _files(account, story, number, created))
        if messages and number % 29 == 0:  # an agent's answer may bring a file, too
            answers = [message for message in messages if not message["incoming"]]
            if answers:
                guide = sample_file.pdf(
                    ["Ondam support guide", f"Steps for ticket {number}", "1. Sign in", "2. Open Settings"]
                )
                answers[-1]["attachments"] = [_attached(account, "guide.pdf", sample_file.PDF, guide, created)]

    return write


def _thread_writer(account: Account, desk: Desk, seed: int, thread: Thread) -> Callable[[int, int], None]:
    def write(number: int, created: int) -> None:
        story = tell(seed, number, desk, at=created, language=thread.language)
        lasted = len(thread.messages) * 9_000
        ticket = write_ticket(story, number, desk, created=created, updated=created + lasted, status=thread.status)
        body = render(thread.text)
        ticket.update(
            subject=thread.subject,
            description=body,
            description_text=text_of(body),
            priority=thread.priority,
            type=thread.kind,
            tags=list(thread.tags),
            group_id=desk.group_of(thread.area),
            responder_id=story.agent["id"],
            source=1,
        )
        before, messages = thread.text, []
        for position, (role, text) in enumerate(thread.messages, 1):
            at = created + lasted * position // len(thread.messages)
            message = write_message(story, role, text, number, _FIRST_MESSAGE + number * 1_000 + position, at, before)
            before = text if role in {"agent", "customer"} else before
            messages.append(message)
        files = [_file(account, thread.file, created)] if thread.file else []
        _put(account, ticket, messages, files)

    return write


def _odd_writer(
    account: Account, desk: Desk, seed: int, text: tuple[str, str], flag: str
) -> Callable[[int, int], None]:
    def write(number: int, created: int) -> None:
        story = tell(seed, number, desk, at=created)
        ticket = write_ticket(story, number, desk, created=created, updated=created + 300, status=5)
        body = render(text[1])
        ticket.update(subject=text[0], description=body, description_text=text_of(body), tags=[], type=None, priority=1)
        ticket[flag] = True
        _put(account, ticket, [], [])

    return write


def _put(account: Account, ticket: Json, messages: list[Json], files: list[File]) -> None:
    fields = {
        name: value
        for name, value in ticket.items()
        if name not in {"subject", "description", "requester_id", "attachments"}
    }
    account.add_ticket(
        ticket["subject"],
        ticket["description"],
        requester_id=ticket["requester_id"],
        conversations=messages,
        files=files,
        silent=True,
        **fields,
    )


def _files(account: Account, story: Story, number: int, created: int) -> list[File]:
    """Return what a customer sent along: with one ticket of seven, and in turn each kind of trouble."""
    if number % 7:
        return []
    kinds = (
        "screenshot.png",
        "error.log.txt",
        "사업자등록증.pdf",
        "문의내용.docx",
        "broken.pdf",
        "lost.pdf",
        "short-lived.txt",
    )
    return [_file(account, kinds[number // 7 % len(kinds)], created, story)]


def _file(account: Account, name: str, created: int, story: Story | None = None) -> File:
    company = story.slots["company"] if story else "온담"
    log = "\n".join(
        f"2026-11-0{day} 09:1{day}:02 ERROR request_id=req_{day}f2c41 code=E-1042 message=invalid signature"
        for day in range(1, 7)
    )
    if name == "broken.pdf":  # cut off in the middle, as from an upload that did not end
        whole = sample_file.pdf(["This page will never be read."])
        return past_file(account, "견적서(손상).pdf", sample_file.PDF, whole[: len(whole) // 3], created)
    if name == "lost.pdf":
        return past_file(account, "거래명세서.pdf", sample_file.PDF, None, created, size=48_213)
    if name == "short-lived.txt":
        return past_file(account, "임시_로그.txt", sample_file.TEXT, log.encode(), created, link_seconds=1)
    if name.endswith(".pdf"):
        return past_file(
            account,
            name,
            sample_file.PDF,
            sample_file.pdf(["BUSINESS REGISTRATION (SAMPLE)", "No. 000-00-00000"]),
            created,
        )
    if name.endswith(".docx"):
        lines = [
            f"{company} 문의 내용",
            "1. 발생 시각: 오전 9시 10분",
            "2. 화면: 주문 목록",
            "3. 오류 문구는 캡처와 같습니다.",
        ]
        return past_file(account, name, sample_file.DOCX, sample_file.docx(lines), created)
    if name.endswith(".png"):
        return past_file(account, name, sample_file.PNG, sample_file.png(), created)
    return past_file(account, name, sample_file.TEXT, log.encode(), created)


def _attached(account: Account, name: str, content_type: str, content: bytes, created: int) -> Json:
    return account.attach(past_file(account, name, content_type, content, created))


def _tidy(account: Account, end: int) -> None:
    """Let many closed tickets have changed in the same second, as after a bulk action."""
    at = stamp(datetime.fromtimestamp(end - _TIDY_DAY * 86_400, UTC))
    old = [number for number in account.ids() if (account.ticket(number) or {})["updated_at"] < at][:_TIDIED]
    for number in old:
        ticket = account.ticket(number) or {}
        account.update_ticket(number, tags=[*ticket["tags"], "2026-정리"], updated_at=at)


def _merge(account: Account, desk: Desk, seed: int, now: datetime) -> None:
    """Let customers have written twice, and agents merged what they wrote."""
    clock = account.clock
    for position, ((subject, text), family) in enumerate(zip(MERGED, _MERGED_FAMILIES, strict=True), 1):
        tags = next(item.tags for item in FAMILIES if item.name == family)
        target = max(number for number in account.ids() if set(tags) <= set((account.ticket(number) or {})["tags"]))
        known = account.ticket(target) or {}
        moment = min(
            datetime.fromisoformat(known["updated_at"]) + timedelta(hours=position), now - timedelta(minutes=5)
        )
        story = tell(seed, 90_000 + position, desk, at=int(moment.timestamp()))
        account.clock = lambda moment=moment: moment  # type: ignore[misc]  # an agent's click in the past
        number = account.add_ticket(
            subject,
            render(text),
            requester_id=known["requester_id"],
            silent=True,
            group_id=known["group_id"],
            type=known["type"],
            tags=list(tags),
            to_emails=[SUPPORT],
        )
        account.clock = lambda moment=moment: moment + timedelta(minutes=4)  # type: ignore[misc]  # likewise
        account.merge(number, target, by=story.agent["id"])
    account.clock = clock
