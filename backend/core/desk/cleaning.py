"""What the sender of a mail wrote: without mark-up, quoted mails, signatures, disclaimers and what phones append.

What is taken away can be told from its form alone. In doubt a line stays: a model reads over a signature, and nobody
gets an error code back that was cut off with one. A mail of which nothing would stay is kept whole.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from backend.core.desk.mail_html import FORWARDED, Line, html_lines, looks_like_html

MAX_INPUT_CHARS = 1_000_000
"""What follows is not read: a mail that long is an attachment."""
MAX_LINES = 15_000
MAX_TEXT_CHARS = 200_000
"""Most of a cleaned text."""
_SHOWN = 300
"""Characters of a line by which it is told what it is: keeps every pattern linear, whatever the line."""
_SIGNATURE_LINES = 12
_HEADER_LINES = 8

# Characters without a width and those that turn the direction: they hide words from a reader, or a reader from words.
# Tags (U+E0000…) and selectors spell whole sentences that a model reads and nobody else.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_SPACES = re.compile(r"[ \t\u00a0\u2000-\u200a\u202f\u2800\u3000\u3164\uffa0]+")

_ORIGINAL = re.compile(
    r"^\s*[-_=*]{2,}\s*(?:original\s+(?:message|mail)|원본\s*(?:메시지|메세지|메일)|이전\s*메일|받은\s*메일)\s*[-_=*]{2,}",
    re.IGNORECASE,
)
_REPLY_ABOVE = re.compile(
    r"type your reply above this line|reply above this line|이\s*(?:줄|선)\s*위에.{0,20}(?:회신|답장|입력)",
    re.IGNORECASE,
)
_WROTE_EN = re.compile(r"^\s*on\b.{6,260}\bwrote:?\s*$", re.IGNORECASE)
_WROTE_KO = re.compile(
    r"^.{0,200}\d.{0,200}(?:님이|님께서)\s*(?:작성|쓴\s*글|작성한\s*(?:메시지|글|내용)|보낸\s*(?:메시지|메일))\s*:?\s*$"
)
_FIELD = re.compile(
    r"^[\s>*|]*(from|보낸\s*사람|보낸이|발신자?|to|받는\s*사람|받는이|수신자?|cc|참조|sent|date|날짜|보낸\s*날짜|보낸\s*시간"
    r"|subject|제목)\s*\*?\s*:",
    re.IGNORECASE,
)
_SENDER = re.compile(r"^(?:from|보낸|발신)", re.IGNORECASE)

_PHONE_FOOTER = re.compile(
    r"^\s*(?:sent (?:from|via) (?:my |the )?(?:iphone|ipad|mobile|android|galaxy|samsung|outlook|mail|yahoo|blackberry"
    r"|proton|naver).{0,60}"
    r"|get outlook for (?:ios|android).{0,80}"
    r"|(?:나의|내|제)?\s*(?:iphone|ipad|아이폰|아이패드|galaxy|갤럭시|samsung|삼성|안드로이드).{0,40}에서\s*(?:보냄|보냈습니다|보낸.{0,10})"
    r"|(?:네이버|naver|다음|daum|카카오|kakao|outlook).{0,20}(?:앱|메일|mail).{0,10}에서\s*(?:보냄|보냈습니다|보낸.{0,10})"
    r"|(?:ios|android)용 outlook.{0,80})\s*[.]?\s*$",
    re.IGNORECASE,
)
_SIGNATURE_MARK = re.compile(r"^\s*(?:--|__|—)\s*$")
_RULE = re.compile(r"^\s*[-_=*─━]{5,}\s*$")
_CLOSING = re.compile(
    r"^\s*(?:감사합니다|감사드립니다|감사해요|고맙습니다|수고하세요|수고하십시오|안녕히\s*계세요"
    r"|(?:오늘도\s*)?(?:좋은|행복한|즐거운|편안한|건강한)\s*(?:하루|오후|저녁|주말|한\s*주|시간)\s*"
    r"(?:되세요|보내세요|되십시오|보내십시오|되시기\s*바랍니다|보내시기\s*바랍니다)"
    r"|(?:(?:many|(?:with )?kind(?:est)?|(?:with )?best|warm(?:est)?|with)\s+)?(?:regards|rgds|wishes|thanks)"
    r"|(?:all the )?best|thx|take care"
    r"|(?:have|enjoy) (?:a|an|the|your) (?:(?:great|nice|good|lovely|wonderful|pleasant) )?"
    r"(?:day|evening|week|weekend|one)"
    r"|(?:sincerely|respectfully)(?: yours)?|yours(?: sincerely| faithfully| truly)?|cheers|thanks again"
    r"|thank you(?: very much| so much| for (?:your|contacting|writing|reaching).{0,40})?|thanks a lot)"
    r"\s*(?:[.!,~^]{0,4}|[:;]-?[)D])\s*$",
    re.IGNORECASE,
)
_SIGNED = re.compile(r"^\s*(?:[^\n]{1,40}\s(?:드림|올림|배상)|[가-힣]{2,4}올림)\s*[.]?\s*$")
_ONE_NAME = r"(?:[가-힣]{2,4}|[A-Z][A-Za-z.'’-]{0,30}(?: [A-Z][A-Za-z.'’-]{0,30}){0,3})"
_CLOSED_BY = re.compile(
    r"^\s*(?:(?i:all the best|(?:many |kind(?:est)? |best |warm(?:est)? )?(?:regards|wishes|thanks)|best|cheers"
    rf"|sincerely|yours|thank you|thx),\s*|(?:--|—)\s*){_ONE_NAME}\s*[.]?\s*$"
)
"""A closing formula, or a mark, and the name behind it: "Best regards, Jane", "-- Jane"."""
_OF_TEAM = re.compile(
    r"^\s*(?:(?:the|your) [^\n.]{0,40}\bteam"
    r"|[^\n.]{1,40}(?:팀|센터|부서?)\s*[가-힣]{2,4}\s?(?:이?었습니다|였습니다))\s*[.]?\s*$",
    re.IGNORECASE,
)
_CARD_TITLE = (
    r"(?:\s?(?:님|매니저|대리|과장|차장|부장|팀장|사원|주임|선임|책임|상담[사원]|담당자?)|\s?\([^()\n]{1,20}\))"
)
_CARD_HEAD = re.compile(rf"^\s*{_ONE_NAME}{_CARD_TITLE}?\s*(?:$|[|/·,])")
_ROLE = re.compile(
    r"팀(?![가-힣])|센터(?![가-힣])|매니저|대리(?![가-힣])|과장|차장|부장|팀장|주임|상담[사원]"
    r"|\b(?:support|team|specialist|manager|engineer|representative|success|sales)\b",
    re.IGNORECASE,
)
_HOURS = re.compile(
    r"평일|(?:운영|영업|상담)\s*시간|\bweekdays?\b|\bmon(?:day)?\s?[-–~]\s?fri(?:day)?\b|\bbusiness hours\b",
    re.IGNORECASE,
)
_FIRM = re.compile(r"\b(?:inc|ltd|llc|co|corp|gmbh)\.?\s*$", re.IGNORECASE)
_ANNOUNCES = re.compile(r"[:：]\s*$|다음|아래|목록|(?:\b(?:is|are|following|below|these|list))\W*$", re.IGNORECASE)
"""Before a list, whose lines may look like those of a card."""
_PLACEHOLDER = re.compile(r"\[[A-Z]{2,12}(?:_[0-9]{1,9})?\]")
_CONTACT = re.compile(
    r"@|https?://|www\.|\b(?:tel|mobile|fax|phone|cell|office|direct|e-?mail|[tmfeh])\b\s*[.:)]"
    r"|전화|팩스|휴대폰|핸드폰|이메일|주소"
    r"|^[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,4}$|\b1[5-9]\d\d-\d{4}\b"
    r"|\+\d{1,3}[ -.]?\d|\b0\d{1,2}[-.) ]\d{3,4}[-. ]\d{4}\b|(?:로|길)\s*\d|\d+\s*층|\b(?:street|road|floor|suite)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?:[다요까죠]\s*[.!?~]*|[.!?]|[:：])\s*$")
_DISCLAIMER = re.compile(
    r"confidentiality notice|intended (?:only|solely) for|not the intended recipient"
    r"|(?:is|are|be) (?:strictly )?confidential"
    r"|may contain (?:confidential|privileged)|consider the environment before printing"
    r"|unauthori[sz]ed (?:use|review|disclosure)"
    r"|지정된\s*수신|수신인이\s*아닌|수신자가\s*아닌|수신인만|기밀\s*(?:정보|사항)|법적(?:으로)?\s*(?:보호|책임)|무단\s*(?:으로\s*)?"
    r"(?:사용|복사|배포|공개|전재)|발신\s*전용|잘못\s*(?:수신|전송|전달)된\s*경우",
    re.IGNORECASE,
)

_AUTO = re.compile(
    r"\b(?:i am|i'm|i will be|is|we are)\s+(?:currently\s+)?(?:away from|out of)\s+(?:the\s+|my\s+)?office"
    r"|\b(?:automatic|automated|auto)[- ]?(?:generated\s+)?(?:reply|response|message|acknowledge?ment)\b"
    r"|\bon (?:annual |parental |maternity |sick )?(?:leave|vacation|holiday) (?:until|from|through)\b"
    r"|\bthis (?:is an |e?-?mail was |message was )automatically (?:generated|sent)"
    r"|\bdo not reply to this (?:automated )?(?:e-?mail|message)"
    r"|\b(?:delivery status notification|mail delivery (?:failed|subsystem)|undeliverable|delivery has failed"
    r"|message could not be delivered|address not found)\b"
    r"|(?:현재|지금|금일|오늘)?\s*부재\s*중(?:이오니|이므로|입니다|이라|으로|인 관계)"
    r"|(?:휴가|출장|외근)\s*중(?:이오니|이므로|입니다|이라|인 관계)"
    r"|자동\s*(?:응답|회신|답변|답장|발송)(?:\s*(?:메일|메시지|이메일))?(?:입니다|된|되었|이며|으로)"
    r"|자동(?:으로)?\s*(?:발송|생성|전송)된\s*(?:메일|메시지|이메일)"
    r"|(?:메일|메시지)(?:이|가|을|를)?\s*(?:전송|배달|발송)(?:할 수 없|하지 못|되지 (?:않|못)|에 실패)",
    re.IGNORECASE,
)
_RECEIVED = re.compile(
    r"\bwe (?:have )?received your (?:request|e-?mail|message|ticket|inquiry)\b"
    r"|(?:문의|요청|티켓|메일)(?:가|이|하신 내용이)?\s*(?:정상적으로\s*|성공적으로\s*)?접수(?:되었습니다|됐습니다)",
    re.IGNORECASE,
)
_AUTO_TITLE = re.compile(
    r"^\s*(?:re:\s*)?[\[(]?\s*"
    r"(?:automatic reply|auto-?reply|out of office|undeliverable|자동\s*(?:회신|응답|답장)|부재\s*중)"
    r"\s*[\])]?\s*(?::|$)",
    re.IGNORECASE,
)
_AUTO_ASKS = re.compile(
    r"[?？]|않[아습]|안\s*(?:돼|되|됩)|오류|에러|실패합|\b(?:error|doesn't|does not|fails|broken)\b", re.IGNORECASE
)
_MAX_AUTO = 800
"""A longer text was written by a person, whatever it begins with."""
_MAX_RECEIVED = 250
"""A longer one says more than that a request was received."""
_DAEMONS = ("mailer-daemon@", "postmaster@")


def clean(html_or_text: str, sender: str | None = None) -> str:
    """Return what the sender wrote, as text: at most `MAX_TEXT_CHARS`, paragraphs apart, tables with bars.

    Quoted mails, signatures and footers are taken away, unless nothing else is there. Never raises, and reads the
    first `MAX_INPUT_CHARS`. `sender` is the name of who wrote it, by which a bare signature is known.
    """
    source = html_or_text[:MAX_INPUT_CHARS]
    lines = html_lines(source) if looks_like_html(source) else [Line(line) for line in source.splitlines()]
    lines = [Line(plain_line(line.text), line.quoted) for line in lines[:MAX_LINES]]
    own = _without_footers(_without_quotes(lines), " ".join((sender or "").split()))
    if not _has_words(own):
        own = [line.text.lstrip("> ") if line.text.startswith(">") else line.text for line in lines]
    return _joined(own)


def is_auto_reply(text: str, original: Mapping[str, Any]) -> bool:
    """Return whether a machine sent this: somebody is away, a mail could not be delivered, a request was received.

    Args:
        text: The cleaned message.
        original: The message as the platform gave it: its headers and its sender are looked at, where it has them.
    """
    if _auto_headers(original):
        return True
    sender = original.get("from_email")
    if isinstance(sender, str) and any(daemon in sender.lower()[:500] for daemon in _DAEMONS):
        return True
    subject = original.get("subject")
    if isinstance(subject, str) and _AUTO_TITLE.match(subject[:_SHOWN]):
        return True
    if not text or len(text) > _MAX_AUTO:
        return False
    if _AUTO_TITLE.match(text[:_SHOWN].partition("\n")[0]):
        return True
    # Somebody who reports that automatic replies do not work writes the same words.
    if _AUTO_ASKS.search(text):
        return False
    return _AUTO.search(text) is not None or (len(text) <= _MAX_RECEIVED and _RECEIVED.search(text) is not None)


def _auto_headers(original: Mapping[str, Any]) -> bool:
    """RFC 3834 §5, and what was used before it."""
    headers = original.get("headers") or original.get("email_headers")
    if not isinstance(headers, Mapping):
        return False
    named = {str(name).lower(): str(value).strip().lower() for name, value in headers.items()}
    return (
        named.get("auto-submitted", "no") != "no"
        or "x-autoreply" in named
        or "x-autorespond" in named
        or named.get("precedence") == "auto_reply"
    )


def without_unseen(text: str) -> str:
    """Return a text without what cannot be seen; what is seen stays as it is."""
    return _UNSEEN.sub("", text)


def plain_line(line: str) -> str:
    """Return a line without what cannot be seen, each run of spaces one; it is no HTML."""
    return _SPACES.sub(" ", without_unseen(unicodedata.normalize("NFC", line))).strip()


def _has_words(lines: Sequence[str]) -> bool:
    return any(any(letter.isalnum() for letter in line) for line in lines)


def _joined(lines: Sequence[str]) -> str:
    """Join the lines, with at most one empty line between two."""
    kept: list[str] = []
    length = 0
    for line in lines:
        if not line and (not kept or not kept[-1]):
            continue
        length += len(line) + 1
        kept.append(line)
        if length > MAX_TEXT_CHARS:
            break
    return "\n".join(kept)[:MAX_TEXT_CHARS].strip()


def _without_quotes(lines: Sequence[Line]) -> list[str]:
    """Return the lines that are the sender's own: above, below and between what is quoted."""
    kept: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        length = 0 if line.quoted else _introduces(lines, place)
        if length < 0 and _has_words(kept):
            break  # a whole mail follows, without a mark where it ends
        if length > 0:
            after = _next_written(lines, place + length)
            if after is None:
                break
            if _is_quote(lines, after):
                place = after
            elif _has_words(kept):
                break
            else:
                kept += (each.text for each in lines[place : place + length])
                place += length
        elif _is_quote(lines, place):
            while place < len(lines) and (lines[place].quoted or lines[place].text.startswith(">")):
                place += 1
        else:
            kept.append(line.text)
            place += 1
    return kept


def _introduces(lines: Sequence[Line], place: int) -> int:
    """Return how many lines from `place` introduce a quote; -1 when all that follows is another mail; 0 for neither."""
    text = lines[place].text[:_SHOWN]
    if not text:
        return 0
    if _ORIGINAL.match(text) or _REPLY_ABOVE.search(text):
        return -1
    if _FIELD.match(text) and _is_mail_head(lines, place):
        return -1
    if len(text) < _SHOWN:
        joined = text
        for count in range(1, 4):  # mail programs break the line where it gets long
            if _WROTE_EN.match(joined) or _WROTE_KO.match(joined):
                return count
            if place + count >= len(lines) or lines[place + count].quoted or not text[:3].lower().startswith("on "):
                break
            joined = f"{joined} {lines[place + count].text}"[:_SHOWN]
    return 0


def _is_mail_head(lines: Sequence[Line], place: int) -> bool:
    """Whether a sender and two more fields of a mail's head stand here; not below the mark of a forwarded mail."""
    above = next((lines[at].text for at in range(place - 1, max(-1, place - 3), -1) if lines[at].text), "")
    if FORWARDED.match(above[:_SHOWN]):
        return False
    fields: set[str] = set()
    for line in lines[place : place + _HEADER_LINES]:
        field = _FIELD.match(line.text[:_SHOWN])
        if field is None and line.text:
            break
        if field is not None:
            fields.add("".join(field[1].lower().split()))
    return len(fields) >= 3 and any(_SENDER.match(field) for field in fields)


def _is_quote(lines: Sequence[Line], place: int) -> bool:
    """Whether a quote is here: marked so, or two lines with `>`; one alone may be a menu's path or a prompt."""
    if lines[place].quoted:
        return True
    if not lines[place].text.startswith(">"):
        return False
    near = lines[max(0, place - 1) : place] + lines[place + 1 : place + 2]  # type: ignore[operator]
    return any(line.text.startswith(">") for line in near)


def _next_written(lines: Sequence[Line], place: int) -> int | None:
    return next((at for at in range(place, len(lines)) if lines[at].text), None)


def _without_footers(lines: list[str], sender: str) -> list[str]:
    kept = [line for line in lines if not _PHONE_FOOTER.match(line[:_SHOWN])]
    from_phone = len(kept) < len(lines)
    for take in (
        _disclaimer_at,
        lambda lines: _signature_at(lines, sender, from_phone=from_phone),
        _disclaimer_at,
    ):
        at = take(kept)
        if at is not None and _has_words(kept[:at]):
            kept = kept[:at]
    # What was closed with "have a nice day" and "thank you" is closed twice.
    while (at := _last_written(kept)) and _CLOSING.match(kept[at][:_SHOWN]) and _has_words(kept[:at]):
        kept = kept[:at]
    return kept


def _last_written(lines: Sequence[str]) -> int | None:
    return next((at for at in range(len(lines) - 1, -1, -1) if lines[at]), None)


def _disclaimer_at(lines: Sequence[str]) -> int | None:
    """Return where the disclaimers begin that are the last paragraphs."""
    found: int | None = None
    for start, end in _last_paragraphs(lines, 4):
        text = " ".join(lines[start:end])[:2_000]
        if _DISCLAIMER.search(text):
            found = start
        elif not all(_RULE.match(line[:_SHOWN]) for line in lines[start:end]):
            break
    return found


def _last_paragraphs(lines: Sequence[str], count: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    end = len(lines)
    while end and len(found) < count:
        while end and not lines[end - 1]:
            end -= 1
        start = end
        while start and lines[start - 1]:
            start -= 1
        if start < end:
            found.append((start, end))
        end = start
    return found


def _signature_at(lines: Sequence[str], sender: str, *, from_phone: bool) -> int | None:
    """Return where the signature begins: a mark, or a closing formula or a name with nothing but a card below it."""
    written = [at for at, line in enumerate(lines) if line]
    for at in written[-_SIGNATURE_LINES:]:
        line = lines[at][:_SHOWN]
        if _SIGNATURE_MARK.match(line) and at != written[0]:
            return at
        below = [lines[other] for other in written if other > at]
        if not all(map(_is_card, below)):
            continue
        if _CLOSING.match(line) or _SIGNED.match(line) or _RULE.match(line) or _CLOSED_BY.match(line):
            return at
        above = next((lines[other] for other in reversed(written) if other < at), "")
        if not above or lines[at - 1] or _ANNOUNCES.search(above[-_SHOWN:]):
            continue
        if _OF_TEAM.match(line) or _is_card_of(line, below, sender, from_phone=from_phone):
            return at
    return None


def _is_card_of(head: str, below: Sequence[str], sender: str, *, from_phone: bool) -> bool:
    """Whether a visiting card without a closing formula above it begins: a name, and what tells whose it is.

    A name alone may be the last word of a list, so it needs a title, a team or hours with it, unless it is known.
    """
    ends = _SENTENCE_END.search(head) is not None and _FIRM.search(head) is None
    if not _CARD_HEAD.match(head) or ends or len(head) > 80:
        return False
    if sender and head.casefold().startswith(sender.casefold()):
        return True
    if not below:
        return from_phone or (head.count("|") >= 2 and _ROLE.search(head) is not None)
    return any(_ROLE.search(line) or _HOURS.search(line) for line in (head, *below))


def _is_card(line: str) -> bool:
    """Whether the line may stand on a visiting card: a name, a firm, an address, how to be reached."""
    if len(line) > 120:
        return False
    if _CLOSING.match(line) or _SIGNED.match(line) or _RULE.match(line) or _OF_TEAM.match(line):
        return True
    if _CONTACT.search(line) or _HOURS.search(line):
        return True
    # A number that is no way to reach somebody is an order's, a version's or an error's.
    plain = _PLACEHOLDER.sub("", line)
    ends = _SENTENCE_END.search(plain) is not None and _FIRM.search(plain) is None
    return len(plain) <= 60 and not ends and not any(letter.isdigit() for letter in plain)
