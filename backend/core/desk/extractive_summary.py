"""A ticket's summary from its own sentences, chosen by rules: without a model, quick, never wrong in a number."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.core.desk.reply_body import body_of
from backend.core.model.extract import split_sentences
from backend.dto.desk import TicketText
from backend.dto.ticket import CLOSED, OPEN, PENDING, RESOLVED
from backend.util.language import Language, letter_pairs, overlap, terms

FIELD_CHARS = 600
"""Most of one field of a summary."""
KEYWORD_CHARS = 40
KEYWORDS = 3
_SENTENCE_CHARS = 300
_READ_CHARS = 20_000
"""Of each part of a conversation that is read for a field."""

_PROBLEM = re.compile(
    r"오류|에러|문제|안\s?[되돼됩]|않[아습는]|못\s?하|불가|실패|먹통|끊[기김겨]|튕|느[리려]|멈[추춰]|잘못|누락|환불|취소"
    r"|변경|문의(?! ?드)|요청|어떻게|가능한"
    r"|\b(?:error|fail\w*|cannot|can't|can not|unable|doesn't|does not|didn't|not work\w*|issue|problem|broken|crash\w*"
    r"|wrong|missing|slow|stuck|refund|cancel|change|how (?:do|can|to)|could you|please|need)\b",
    re.IGNORECASE,
)
_SOLUTION = re.compile(
    r"하세요|하시면|십시오|해\s?주세요|바랍니다|설정|클릭|선택|업데이트|재설치|재시작|초기화|조치|처리|완료|변경|적용"
    r"|수정|해결|발급|안내|환불|반영"
    r"|\b(?:please|click|select|open|update|upgrade|reset|restart|reinstall|install|clear|disable|enable|configure"
    r"|fixed"
    r"|resolved|refunded|deployed|applied|change[d]?|go to|try|steps?)\b",
    re.IGNORECASE,
)
_CAUSE = re.compile(
    r"원인|때문|(?:으로|로) ?인(?:해|하여|한)|탓(?:입|으|이)|이유는|비롯|영향으로"
    r"|\b(?:because|due to|caused? by|root cause|reason (?:is|was)"
    r"|result of|owing to)\b",
    re.IGNORECASE,
)
_CONFIRMS = re.compile(
    r"해결(?:됐|되었|되었습니다|됐습니다|된 것)|(?:잘|정상(?:적으로)?)\s?(?:됩니다|되네요|돼요|작동|동작|접속|처리)"
    r"|확인했습니다|확인되었"
    r"|\b(?:works? (?:now|again|fine)|working (?:now|again)|solved|resolved|fixed|that (?:did|worked)|it worked)\b",
    re.IGNORECASE,
)
_DENIES = re.compile(
    r"여전히|아직|계속|또\s?다시|\b(?:still|not (?:solved|resolved|fixed|working)|again)\b", re.IGNORECASE
)
_CIRCUMSTANCE = re.compile(
    r"같은 (?:문제|증상|현상|오류)|(?:어제|그제|지난주|얼마 전|이전|전)까지(?:는|만 해도)|문제없이"
    r"|(?:바꾼|변경한) (?:것|게|건|적)"
    r"|똑같|마찬가지|비슷한 (?:문제|일)로|급합니다|급해요|시급|필요하시면"
    r"|\b(?:(?:worked|was fine) (?:until|before)|same (?:on|with|problem|issue|error|thing)|did(?:n't| not) change"
    r"|nothing (?:has )?changed|urgent|asap|if (?:you|that) (?:need|is)|call me)\b",
    re.IGNORECASE,
)
"""What any ticket may say beside its problem: since when, for whom else, how urgent."""
_PUTS_OFF = re.compile(
    r"(?:확인|검토|조사|점검|안내)(?:해\s?보|하)?(?:겠|도록|한 뒤|하여 연락)|살펴보|캡처"
    r"|보내\s?주(?:시면|세요)|잠시만|기다려"
    r"|\b(?:look(?:ing)? into|get back to you|screenshots?|(?:could|can) you (?:please )?(?:send|share|tell)"
    r"|please send"
    r"|investigat\w+|will check)\b",
    re.IGNORECASE,
)
"""Asks for more, or says that something will be done: no answer for another customer."""
_POLITE = re.compile(
    r"^(?:안녕하|감사(?:합|드)|고맙|수고|반갑|좋은 하루|문의해? ?주셔서|불편을|죄송|추가(?:로)? 문의|확인 ?부탁"
    r"|빠른 답변|답변 부탁"
    r"|(?:hi|hello|dear|good (?:morning|afternoon|evening)|thank|thanks|regards|best|sincerely|sorry|we apologi|i hope"
    r"|let us know|feel free|if you have any|just reply|looking forward|please help)\b"
    r"|(?:추가로|더) ?궁금)",
    re.IGNORECASE,
)
_ASKS = re.compile(r"[?？]\s*$")
_PLACEHOLDER = re.compile(r"\[[A-Z]{2,12}_[0-9]{1,9}\]")
_URL = re.compile(r"https?://\S+")
_TAIL = re.compile(r"[0-9A-Za-z.,_/#-]{1,300}$")
_VERB = re.compile(
    r"(?:니다|세요|어요|아요|네요|는데|해서|하면|하고|하여|해도|지만|습니까|나요|인가요|에서|으로|했는|되는|하는|있는"
    r"|없는|됩니까|드립|주시|되어"
    r"|되지|하지|않|합니|됩니|부탁|하려|하니|되면|다고|라고|려고|던데|길래)$"
)
_COMMON = frozenset(
    "안녕 감사 문의 확인 부탁 고객 고객님 담당자 내용 경우 관련 사용 저희 제가 다시 현재 오늘 어제 지금 정도 이후"
    " 이전 때문 해당 아래 위해 통해"
    " 추가 안내 답변 요청 문제 가능 진행 처리 완료 이용 원인 방법 상태 계속 바로 혹시 먼저 이제 모두 매우 너무 정말"
    " 아직 다른 같은 우리 여기 거기"
    " 해결 모든 관리자 상담 시도 발생 please thank thanks hello dear regards best team hi customer issue problem help"
    " support"
    " need get got still now when after before using use used tried try see any only other would could been being"
    " because"
    " again all out up new did does doesn't can't cannot not but his her him she he am pm re fw fwd cc ok yes no com"
    " www http"
    " https kind let know since while here there back too very just also".split()
)

_STATUS: dict[Language, dict[int, str]] = {
    "ko": {
        OPEN: "처리 중입니다.",
        PENDING: "답변을 기다리고 있습니다.",
        RESOLVED: "해결되었습니다.",
        CLOSED: "종료되었습니다.",
    },
    "en": {OPEN: "It is open.", PENDING: "It is pending.", RESOLVED: "It is resolved.", CLOSED: "It is closed."},
}


@dataclass(frozen=True, slots=True)
class Fields:
    """What a summary says."""

    problem: str
    cause: str
    solution: str
    result: str
    keywords: tuple[str, ...]


def extract_fields(ticket: TicketText, language: Language) -> Fields:
    """Return the summary's fields: sentences of the ticket as they stand, in its own language.

    `language` is that of the few words which are ours.
    """
    asked = [message for message in ticket.messages if message["author"] == "customer"]
    replies = [
        {**message, "text": body_of(str(message["text"]))}
        for message in ticket.messages
        if message["author"] == "agent" and not message["private"]
    ]
    notes = [message for message in ticket.messages if message["author"] != "customer" and message["private"]]
    return Fields(
        problem=_problem(ticket.title, _sentences(asked[:2])),
        cause=_cause((_sentences(reversed(replies)), _sentences(reversed(notes)), _sentences(asked))),
        solution=_solution([_sentences([reply]) for reply in reversed(replies[-10:])]),
        result=_result(ticket, language),
        keywords=_keywords(ticket),
    )


def tells_what_to_do(reply: str) -> bool:
    """Return whether an answer has a sentence that says what helps, and does not only ask or promise."""
    return any(
        _SOLUTION.search(one) and not _ASKS.search(one) and not _PUTS_OFF.search(one)
        for one in _sentences([{"text": reply}])
    )


def shorten(text: str, limit: int = FIELD_CHARS) -> str:
    """Return `text`, ended by an ellipsis where it is longer than `limit`: at a word, and never within a number."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    return f"{cut.rpartition(' ')[0] or _TAIL.sub('', cut)}…"


def telling_sentences(title: str, text: str, limit: int) -> tuple[list[str], list[str]]:
    """Return the sentences of a text that tell most of the problem, and all that are no greetings or thanks.

    Of the former at most `limit`; both in their order. Circumstances are left out unless there is nothing else.
    """
    said = _sentences([{"text": text}])
    sentences = [sentence for sentence in said if not _CIRCUMSTANCE.search(sentence)] or said
    best = sorted(_telling(title, sentences), key=lambda each: -each[0])[:limit]
    return [sentences[place] for place in sorted(place for _, place in best)], sentences


def _sentences(messages: Iterable[object]) -> list[str]:
    found: list[str] = []
    room = _READ_CHARS
    for message in messages:
        assert isinstance(message, dict)
        text = str(message["text"])[:room]
        room -= len(text)
        found += [
            sentence
            for sentence in split_sentences(text)
            if 4 <= len(sentence) <= 2_000 and not _POLITE.match(sentence) and any(map(str.isalnum, sentence))
        ]
        if room <= 0:
            break
    return found


def _telling(title: str, sentences: Sequence[str]) -> list[tuple[float, int]]:
    """Return how much of the problem each sentence tells, and its place."""
    pairs = letter_pairs(title)
    return [
        (
            2.0 * bool(_PROBLEM.search(sentence)) + 2.0 * overlap(sentence, pairs) * bool(title)
            + max(0.0, 1.0 - place * 0.15) - (0.5 if len(sentence) < 12 else 0.0),
            place,
        )
        for place, sentence in enumerate(sentences)
    ]  # fmt: skip


def _problem(title: str, sentences: Sequence[str]) -> str:
    best = sorted(_telling(title, sentences), key=lambda each: -each[0])[:2]
    if not best:
        return shorten(title)
    floor = best[0][0] * 0.6
    return _joined(sentences[place] for score, place in sorted(best, key=lambda each: each[1]) if score >= floor)


def _cause(groups: Iterable[Sequence[str]]) -> str:
    for sentences in groups:
        for sentence in sentences:
            if _CAUSE.search(sentence) and not _ASKS.search(sentence):
                return shorten(sentence, _SENTENCE_CHARS)
    return ""


def _solution(replies: Sequence[Sequence[str]]) -> str:
    """Return what helps of the latest reply that says what to do, else of the latest one."""
    for sentences in replies:
        telling = [sentence for sentence in sentences if _SOLUTION.search(sentence) and not _ASKS.search(sentence)]
        if telling:
            return _joined(telling[:3])
    return _joined(next((sentences[:2] for sentences in replies if sentences), []))


def _result(ticket: TicketText, language: Language) -> str:
    status = _STATUS[language].get(ticket.status)
    if status is None:
        named = ticket.status_name.strip()
        # A desk's own status may be called anything; a number in it would be none of the ticket's.
        status = "" if not named or any(letter.isdigit() for letter in named) else f"{shorten(named, 60)}."
    last = [message for message in ticket.messages if not message["private"]][-1:]
    if last and last[0]["author"] == "customer" and len(ticket.messages) > 1:
        for sentence in _sentences(last):
            if _CONFIRMS.search(sentence) and not _DENIES.search(sentence) and not _ASKS.search(sentence):
                return f"{status} {shorten(sentence, _SENTENCE_CHARS)}".strip()
    return status or _STATUS[language][OPEN]


def _keywords(ticket: TicketText) -> tuple[str, ...]:
    """Return the words that the most sentences have, those of the title first among equals."""
    counts: Counter[str] = Counter()
    for word in _words(ticket.title):
        counts[word] += 3
    room = _READ_CHARS
    for message in ticket.messages:
        text = str(message["text"])[:room]
        room -= len(text)
        for sentence in split_sentences(text):
            counts.update(_words(sentence))
        if room <= 0:
            break
    return tuple(word for word, _ in counts.most_common(KEYWORDS))


def _words(text: str) -> list[str]:
    return [
        word[:KEYWORD_CHARS]
        for word in terms(_PLACEHOLDER.sub(" ", _URL.sub(" ", text)))
        if len(word) >= 2 and word not in _COMMON and not _VERB.search(word) and not any(map(str.isdigit, word))
    ]


def _joined(sentences: Iterable[str]) -> str:
    kept: list[str] = []
    room = FIELD_CHARS
    for sentence in sentences:
        short = shorten(sentence, _SENTENCE_CHARS)
        if len(short) > room:
            break
        kept.append(short if short[-1:] in ".!?。…" else f"{short}.")
        room -= len(short) + 2
    return " ".join(kept)
