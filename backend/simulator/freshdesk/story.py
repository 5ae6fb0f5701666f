"""How a ticket is told: which problem, in whose words, and what was said after that. The same number tells the same."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

from backend.simulator.freshdesk.blank import blank_conversation, blank_ticket, stamp
from backend.simulator.freshdesk.content.family import Family, Language
from backend.simulator.freshdesk.content.family_access import FAMILIES as ACCESS
from backend.simulator.freshdesk.content.family_app import FAMILIES as APP
from backend.simulator.freshdesk.content.family_billing import FAMILIES as BILLING
from backend.simulator.freshdesk.content.family_developer import FAMILIES as DEVELOPER
from backend.simulator.freshdesk.content.family_order import FAMILIES as ORDER
from backend.simulator.freshdesk.content.people import (
    ASIDES,
    AWAY,
    BROWSERS,
    CLOSINGS,
    DETAILS,
    DEVICES,
    FAMILY_NAMES,
    FURTHER,
    GIVEN_NAMES,
    GREETINGS,
    STILL,
    THANKS,
)
from backend.simulator.freshdesk.desk import SUPPORT, Desk

Json = dict[str, Any]
Role = Literal["customer", "agent", "note", "system", "away"]
FAMILIES: tuple[Family, ...] = (*ACCESS, *BILLING, *ORDER, *DEVELOPER, *APP)
_CARDS = ("4111-1111-1111-1111", "5555 5555 5555 4444", "4242424242424242", "3782-822463-10005")
"""Numbers that card companies publish for tests."""
_MONTHS = "January February March April May June July August September October November December".split()
_KOREA = timedelta(hours=9)


@dataclass(frozen=True, slots=True)
class Story:
    """What a ticket is about, before it is written down."""

    family: Family
    language: Language
    said: int
    contact: Json
    agent: Json
    slots: dict[str, str]
    style: int
    """How the customer's mail looks: 0 Gmail, 1 Outlook, 2 the portal."""
    rng: Random


def tell(
    seed: int,
    number: int,
    desk: Desk,
    *,
    at: int,
    family: int | None = None,
    language: Language | None = None,
    said: int = -1,
) -> Story:
    """Choose what a ticket is about; `at` is the second in which it was written."""
    rng = Random(seed * 1_000_000_007 + number)
    chosen = FAMILIES[rng.randrange(len(FAMILIES)) if family is None else family]
    spoken: Language = language or ("en" if rng.random() < 0.3 else "ko")
    contacts = desk.writers_of(spoken)
    contact = contacts[rng.randrange(len(contacts))]
    agents = list(desk.agents.values())
    team = agents[1:4] if spoken == "ko" else [agents[4], *agents[1:4]]
    agent = agents[-1] if chosen.area == "developer" and rng.random() < 0.5 else team[rng.randrange(len(team))]
    texts = chosen.sides[spoken].said
    return Story(
        chosen,
        spoken,
        rng.randrange(len(texts)) if said < 0 else said % len(texts),
        contact,
        agent,
        _slots(rng, contact, desk.companies[contact["company_id"]], spoken, at),
        rng.randrange(3),
        rng,
    )


def _slots(rng: Random, contact: Json, company: Json, language: Language, at: int) -> dict[str, str]:
    day = datetime.fromtimestamp(at, UTC) + _KOREA - timedelta(days=rng.randrange(1, 6))
    amount = rng.choice((29_000, 99_000, 249_000, 59_400, 128_700))
    phone = rng.choice(DEVICES)
    english = {"갤럭시": "Galaxy", "탭": "Tab", "웨일": "Whale"}
    slots = {
        "order": f"ORD-{day:%Y%m%d}-{rng.randrange(10_000):04d}",
        "date": _day(int(day.timestamp()) - 9 * 3_600, language),
        "amount": f"{amount:,}",
        "email": contact["email"],
        "phone": contact["mobile"],
        "name": contact["name"],
        "buyer": rng.choice(FAMILY_NAMES) + rng.choice(GIVEN_NAMES),
        "company": company["name"],
        "company_code": f"ws-{company['id'] % 1000:03d}",
        "rrn": fake_resident_number(rng),
        "card": rng.choice(_CARDS),
        "track": f"{rng.randrange(5_100_000_000_00, 5_200_000_000_00)}",
        "invoice": f"INV-{day:%Y%m}-{rng.randrange(100_000):05d}",
        "count": str(rng.randrange(3, 13)),
        "ip": f"203.0.113.{rng.randrange(1, 30)}",
        "device": phone,
        "browser": rng.choice(BROWSERS),
        "android": rng.choice([device for device in DEVICES if "i" not in device]),
    }
    if language == "en":
        for name in ("device", "browser", "android"):
            for korean, word in english.items():
                slots[name] = slots[name].replace(korean, word)
    return slots


def fake_resident_number(rng: Random) -> str:
    """Return a number in the form of a resident registration, with a right check digit, that was given to nobody.

    Its region is 99, which there is not.
    """
    digits = f"{rng.randrange(60, 100):02d}{rng.randrange(1, 13):02d}{rng.randrange(1, 29):02d}{rng.choice('12')}99999"
    weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
    check = (11 - sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11) % 10
    return f"{digits[:6]}-{digits[6:]}{check}"


def write_ticket(story: Story, number: int, desk: Desk, *, created: int, updated: int, status: int) -> Json:
    """Return the ticket of a story."""
    family, language = story.family, story.language
    subject, text = family.sides[language].said[story.said]
    rng = Random(story.slots["order"])
    greeting = rng.choice(GREETINGS[language])
    more = DETAILS if family.kind in {"Incident", "Problem"} else ASIDES
    lines = [greeting, text, rng.choice(more[language]), rng.choice(CLOSINGS[language])]
    body = "\n".join(line for line in lines if line).format_map(story.slots)
    at = _stamp(created)
    ticket = blank_ticket(
        number, subject.format_map(story.slots), _customer_html(story, body, None, created), story.contact["id"], at
    )
    ticket.update(
        updated_at=_stamp(updated),
        status=status,
        priority=family.priority if rng.random() < 0.8 else rng.randrange(1, 5),
        type=family.kind,
        source=(1, 1, 2)[story.style] if rng.random() < 0.9 else rng.choice((3, 7, 9)),
        company_id=story.contact["company_id"],
        group_id=desk.group_of(family.area),
        responder_id=story.agent["id"] if status != 2 or rng.random() < 0.5 else None,
        tags=list(family.tags) + (["vip"] if rng.random() < 0.05 else []),
        custom_fields={
            "cf_order_id": story.slots["order"] if "{order}" in text or "{order}" in subject else None,
            "cf_product": family.product,
            "cf_os": story.slots["device"] if family.area == "app" else None,
        },
        to_emails=[SUPPORT] if story.style < 2 else None,
        cc_emails=["manager@" + story.contact["email"].split("@")[1]] if rng.random() < 0.1 else [],
    )
    return ticket


def plan(story: Story, status: int) -> list[tuple[Role, str]]:
    """Return what was said after the first message, as far as a ticket of that status has come."""
    side, rng = story.family.sides[story.language], Random(story.slots["track"])
    said: list[tuple[Role, str]] = []
    if rng.random() < 0.1:
        said.append(("away", AWAY[story.language]))
    if side.ask:
        said += [("agent", side.ask), ("customer", side.reply)]
    if rng.random() < 0.7:
        said.append(("note", story.family.note))
    said.append(("agent", side.answer))
    if rng.random() < 0.25:
        said += [("customer", rng.choice(STILL[story.language])), ("agent", rng.choice(FURTHER[story.language]))]
    if rng.random() < 0.7:
        said.append(("customer", rng.choice(THANKS[story.language])))
    if status in {4, 5} and rng.random() < 0.3:
        said.append(("system", "상태가 '해결됨'으로 자동 변경되었습니다. (규칙: 고객이 3일 동안 회신하지 않음)"))
    if status == 2:  # nobody answered, or the customer did last
        return said[: rng.choice((0, 0, 2))]
    if status in {3, 6, 7}:  # it waits for somebody: an agent said the last word
        last = max(position for position, (role, _) in enumerate(said[:4]) if role == "agent")
        return said[: last + 1]
    return said


def lengthen(said: list[tuple[Role, str]], story: Story, length: int) -> list[tuple[Role, str]]:
    """Return a thread of exactly that length: cut, or with more questions and answers."""
    rng, said = Random(story.slots["invoice"]), list(said)
    while len(said) < length:
        said.append(("customer", rng.choice(STILL[story.language])))
        said.append(("agent", rng.choice(FURTHER[story.language])))
    return said[:length]


def write_thread(
    story: Story, said: Sequence[tuple[Role, str]], number: int, first_id: int, *, created: int, updated: int
) -> list[Json]:
    """Return the messages of a thread, their times between the ticket's two; the last one is the last change."""
    messages: list[Json] = []
    before = f"{story.family.sides[story.language].said[story.said][1]}".format_map(story.slots)
    for position, (role, text) in enumerate(said, 1):
        at = created + (updated - created) * position // len(said)
        slots = {**story.slots, "date": _day(at + 5 * 86_400, story.language)} if role == "away" else story.slots
        filled = text.format_map(slots)
        message = write_message(story, role, filled, number, first_id + position, at, before)
        if role in {"agent", "customer"}:
            before = filled
        messages.append(message)
    return messages


def write_message(story: Story, role: Role, text: str, number: int, own_id: int, at: int, before: str | None) -> Json:
    """Return one message as the API gives it; `before` is what a mail quotes."""
    contact, agent = story.contact, story.agent
    incoming, private = role in {"customer", "away"}, role in {"note", "system"}
    if role == "customer":
        body = _customer_html(story, text, before if story.style < 2 else None, at)
    elif role == "agent":
        body = _agent_html(story, text)
    else:
        body = f"<div>{render(text)}</div>"
    by = contact["id"] if incoming else None if role == "system" else agent["id"]
    message = blank_conversation(own_id, number, body, by, _stamp(at), private=private, incoming=incoming)
    if incoming:
        message.update(from_email=f"{contact['name']} <{contact['email']}>", to_emails=[SUPPORT], support_email=SUPPORT)
    elif role == "agent":
        message.update(from_email=f"온담 고객지원팀 <{SUPPORT}>", to_emails=[contact["email"]], support_email=SUPPORT)
    elif role == "system":
        message.update(automation_id=43_000_700_001, automation_type_id=1)
    return message


_NUMBERED = re.compile(r"\d+\. ")


def render(text: str) -> str:
    """Return lines as HTML: `- ` and `1. ` begin items, any other line is a paragraph."""
    parts: list[str] = []
    kind = ""
    for line in text.split("\n"):
        now = "ul" if line.startswith("- ") else "ol" if _NUMBERED.match(line) else ""
        if now != kind:
            parts.append((f"</{kind}>" if kind else "") + (f"<{now}>" if now else ""))
            kind = now
        said = html.escape(line.split(" ", 1)[1] if now else line, quote=False)
        parts.append(f"<li>{said}</li>" if now else f"<p>{said}</p>")
    return "".join(parts) + (f"</{kind}>" if kind else "")


def _customer_html(story: Story, text: str, quoted: str | None, at: int) -> str:
    name, company, phone = (story.slots[key] for key in ("name", "company", "phone"))
    head = quote = ""
    if quoted is not None:
        day = _day(at - 7_200, story.language)
        head = (
            f"{day} 온담 고객지원팀 &lt;{SUPPORT}&gt;님이 작성:"
            if story.language == "ko"
            else f"On {day}, Ondam Support &lt;{SUPPORT}&gt; wrote:"
        )
        quote = render(quoted)
    if story.style == 0:
        lines = "".join(f"<div>{html.escape(line, quote=False)}</div><div><br></div>" for line in text.split("\n"))
        signature = f'<div class="gmail_signature">--&nbsp;<br><b>{name}</b> | {company}<br>M. {phone}</div>'
        if quote:
            quote = (
                f'<br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">{head}<br></div>'
                f'<blockquote class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px #ccc solid">'
                f"{quote}</blockquote></div>"
            )
        return f'<div dir="ltr">{lines}{signature}</div>{quote}'
    if story.style == 1:
        lines = "".join(f'<p class="MsoNormal">{html.escape(line, quote=False)}</p>' for line in text.split("\n"))
        closing = "드림" if story.language == "ko" else ""
        signature = (
            f'<p class="MsoNormal">&nbsp;</p><p class="MsoNormal">{name} {closing}<br>{company}<br>Tel: {phone}</p>'
        )
        if quote:
            quote = (
                f'<div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0 0 0"><p class="MsoNormal">'
                f"<b>From:</b> {SUPPORT}<br><b>Sent:</b> {_day(at - 7_200, story.language)}<br><b>Subject:</b> RE:</p>"
                f"</div>{quote}"
            )
        return f'<div class="WordSection1">{lines}{signature}{quote}</div>'
    return render(text)


def _agent_html(story: Story, text: str) -> str:
    contact, name = story.agent["contact"], story.contact["name"]
    agent = contact["name"]
    if story.language == "ko":
        head = f"안녕하세요, {name} 고객님. 온담 고객지원팀 {agent}입니다."
        foot = "추가로 궁금하신 점이 있으면 이 메일에 회신해 주세요. 감사합니다."
        hours = "온담 고객지원팀 | 평일 09:00~18:00"
    else:
        agent = contact["email"].split("@")[0].replace(".", " ").title()
        head = f"Hello {name.split()[0]},"
        foot = "Just reply to this message if anything is left open."
        hours = "Ondam Support | weekdays 9:00-18:00 KST"
    style = "font-family:-apple-system,Helvetica,Arial,sans-serif;font-size:14px"
    site = '<a href="https://help.ondam.example">help.ondam.example</a>'
    return (
        f'<div style="{style}"><p>{head}</p>{render(text)}<p>{foot}</p>'
        f'<div class="signature"><p>{agent}<br>{hours}<br>{site}</p></div></div>'
    )


def _day(second: int, language: Language) -> str:
    """Return the day in Korea."""
    day = datetime.fromtimestamp(second, UTC) + _KOREA
    return f"{day.month}월 {day.day}일" if language == "ko" else f"{day.day} {_MONTHS[day.month - 1]}"


def _stamp(second: int) -> str:
    return stamp(datetime.fromtimestamp(second, UTC))
