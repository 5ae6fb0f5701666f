"""Chooses, from numbered passages, the sentences that answer a question: by words and rules, without a model."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from backend.core.graph.passage_prompt import PromptPassage
from backend.util.language import terms

MAX_SENTENCES = 4
MAX_CHARS = 500
"""Most of one sentence that is quoted; a longer one is cut around what the question asks."""

_NEAR = 0.65
"""A further sentence is quoted when its score is at least this share of the best one's."""
_REPEATS = 0.6
"""A sentence whose words are this much those of one already chosen says nothing new,"""
_REPEATS_ELSEWHERE = 0.8
"""and this much when it stands in another passage, which may be about something else."""
_BEFORE = 0.2
"""Share of a sentence's score that the next one inherits: it often goes on about the same thing."""
_LEADS = 0.9
"""The same for a question or a heading, whose answer is what follows it."""
_TITLE = 0.75
"""What a word counts that is not in the sentence but in the title, which names what the passage is about."""
_AROUND = 0.1
"""What a word counts that is only in other sentences of the passage."""
_RANK = 0.03
"""What each place further down in the list of passages costs."""
_LONG = 0.0015
"""What each letter costs: a long sentence shares words with any question."""
_SHORT = 0.6
"""What is left of the score of a scrap of text."""
_KIND = 0.15
"""What it is worth to hold the kind of thing that is asked for: a date, an amount, a reason."""

_END = re.compile(
    r"\n+"
    r"|(?<=[.!?。…])(?<!\d\.)[ \t]+"  # not after a number, as in `2026. 3. 5.`
    r"|(?<=\d\.)[ \t]+(?=[A-Z][a-z])"  # but there too where an English sentence begins
    r"|(?<=[.!?][\"'”’)\]])[ \t]+"
    r"|(?<=[다요]\.)(?=[가-힣])"
)
_NO_END = re.compile(r"(?:^|\s)(?:\d{1,3}|[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|No|vs|e\.g|i\.e|cf|approx)\.$")
"""What ends in a full stop and is no sentence: a list's number, an initial, an abbreviation."""
_BULLET = re.compile(r"^(?:[-*•·○●◦▪■□▶☞※>]+|#{1,6})\s+|^\|\s*")
_HEADING = re.compile(r"(?:\A|\n[ \t]*\n)((?![-*•·○●◦▪■□▶☞※>|])[^\n\d:]{1,30})(?=\n[ \t]*\n\s*\S)")
"""A short line alone between empty ones: the passages' headings stand so, without their marks."""
_REFERENCE = re.compile(r"\s?\[\d{1,3}\]")
_WORD = re.compile(r"[가-힣]+|[A-Za-z]+|\d+(?:[.,:]\d+)*")
_ASKS = re.compile(r"[?？]\s*$")
_CLOSED = re.compile(r"[.!?。…:;,)\]\"'”’]\s*$|다$|요$")

_MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_KINDS: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = (
    (  # when
        re.compile(
            r"언제|며칠|몇\s?[년월일시]|연도|년도|날짜|일자|기간|기한|마감|시기|날은|해는"
            r"|\b(?:when|date|deadline|what (?:year|day|time))\b"
        ),
        re.compile(
            rf"\d\s?[년월일시]|\d{{4}}[-./]\s?\d|\d:\d\d|\b(?:1\d|20)\d\d\b|\d\s(?:days?|weeks?|months?|hours?)|{_MONTH}"
        ),
    ),
    (  # until when
        re.compile(r"마감|기한|기간|언제까지|\b(?:deadline|due|close[sd]?|until)\b"),
        re.compile(r"\d.{0,12}(?:~|까지|부터|마감)|(?:until|by|before|between|on) [\w ,]*\d"),
    ),
    (  # how much
        re.compile(
            r"얼마|금액|비용|가격|요금|수수료|지원금|한도|몇\s?(?:원|퍼센트|%)|\b(?:how much|cost|price|fee|amount)\b"
        ),
        re.compile(r"\d\s?(?:원|천원|만|억|달러|%|퍼센트|유로|USD|won|dollars?|euros?|percent)|[$€₩£]\s?\d"),
    ),
    (  # how many
        re.compile(r"몇|인원|횟수|개수|얼마나|\bhow (?:many|long|often|far|old|big|tall)\b"),
        re.compile(
            r"\d|(?:한|두|세|네|다섯|여섯)\s(?:명|개|번|차례|가지)|\b(?:one|two|three|four|five|six|twice|once)\b"
        ),
    ),
    (
        re.compile(r"왜|이유|원인|\bwhy\b|\breason\b"),
        re.compile(r"때문|위해|위하여|인해|까닭|므로|\b(?:because|since|due to|so that|caused)\b"),
    ),
    (
        re.compile(r"어떻게|방법|절차|\bhow (?:do|does|can|to|should)\b|\bsteps?\b"),
        re.compile(
            r"하세요|십시오|하면|통해|이용하여|클릭|선택|접속|제출"
            r"|\b(?:click|select|choose|open|go to|by|using|must)\b",
            re.IGNORECASE,
        ),
    ),
    (
        re.compile(r"어디|장소|곳은|위치|주소|\bwhere\b|\b(?:place|city|country|address)\b"),
        re.compile(r"[가-힣](?:시|도|구|군|동|역|국|교|관|산|섬|에서|센터)(?![가-힣])|\b(?:in|at|near|from) [A-Z]"),
    ),
    (re.compile(r"\bwho(?:se|m)?\b"), re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")),
)


@dataclass(frozen=True, slots=True)
class Extract:
    """One sentence of a passage."""

    text: str
    index: int
    """The passage's number."""
    score: float
    """Share of what the question asks that the sentence and its surroundings hold, with its bonuses; about 0..1.3."""


@dataclass(slots=True)
class _Sentence:
    text: str
    index: int
    features: frozenset[str]
    heading: bool
    score: float = 0.0


def choose(question: str, passages: Sequence[PromptPassage]) -> list[Extract]:
    """Return 1 to 4 sentences, best first; none only when there is no text. Scores of 0 mean that nothing fits."""
    sentences: list[_Sentence] = []
    firsts: list[int] = []
    for passage in passages:
        firsts.append(len(sentences))
        headings = _headings(passage.text)
        sentences += [
            _Sentence(text, passage.index, _features(text), text in headings) for text in split_sentences(passage.text)
        ]
    if not sentences:
        return []
    weights = _weights(question, sentences)
    _score(question, passages, sentences, firsts, weights)
    chosen: list[_Sentence] = []
    for sentence in sorted((each for each in sentences if not each.heading), key=lambda each: -each.score):
        if chosen and (sentence.score < chosen[0].score * _NEAR or sentence.score <= 0):
            break
        if _ASKS.search(sentence.text) or any(_repeats(sentence, other) for other in chosen):
            continue
        chosen.append(sentence)
        if len(chosen) == MAX_SENTENCES:
            break
    if not chosen:
        chosen = sentences[:1]
    return [Extract(_cut(each.text, weights), each.index, round(max(0.0, each.score), 3)) for each in chosen]


def split_sentences(text: str) -> list[str]:
    """Return the sentences, list items and table rows of `text`, without bullets and without `[3]` references."""
    found: list[str] = []
    held = ""
    for line in without_references(text).splitlines():
        for part in _END.split(_BULLET.sub("", line.strip())):
            piece = f"{held} {part}".strip() if held else part.strip()
            held = ""
            if _NO_END.search(piece):
                held = piece
            elif piece:
                found.append(piece)
        if held:
            found.append(held)
            held = ""
    return [" ".join(sentence.split()) for sentence in found]


def _headings(text: str) -> set[str]:
    """Return the headings of `text`, which say what is asked and never what is answered."""
    found: set[str] = set()
    end = -1
    for match in _HEADING.finditer(text):
        # What stands right below a heading is what it announces, however short.
        if match.start() != end and not _CLOSED.search(match[1]):
            found.add(" ".join(match[1].split()))
            end = match.end()
    return found


def without_references(text: str) -> str:
    """Return `text` without marks like `[3]`, which would look like sources of the answer."""
    return _REFERENCE.sub("", text)


def _score(
    question: str,
    passages: Sequence[PromptPassage],
    sentences: list[_Sentence],
    firsts: Sequence[int],
    weights: dict[str, float],
) -> None:
    total = sum(weights.values()) or 1.0
    kinds = [wanted for asked, wanted in _KINDS if asked.search(question.lower())]
    bounds = [*firsts, len(sentences)]
    for rank, passage in enumerate(passages):
        inside = sentences[bounds[rank] : bounds[rank + 1]]
        title = _features(passage.title) & weights.keys()
        around = frozenset().union(*(sentence.features for sentence in inside)) & weights.keys() - title
        inherited = 0.0
        for sentence in inside:
            own = _worth(sentence.features & weights.keys(), weights) / total
            named = _worth(title - sentence.features, weights) / total
            near = _worth(around - sentence.features, weights) / total
            score = own + inherited + _TITLE * named + _AROUND * near
            if score > 0:
                score += sum(_KIND for wanted in kinds if wanted.search(sentence.text)) / max(1, len(kinds))
            leads = _ASKS.search(sentence.text) or (len(sentence.text) <= 30 and not _CLOSED.search(sentence.text))
            inherited = own * (_LEADS if leads else _BEFORE)
            length = len(sentence.text)
            score *= (_SHORT if length < 12 else 1.0) / (1 + _LONG * length)
            sentence.score = score * (1 - _RANK * rank)


def _weights(question: str, sentences: Sequence[_Sentence]) -> dict[str, float]:
    """Return what each feature of the question is worth: much when few sentences have it."""
    asked = _features(" ".join(terms(question)) or question)
    count = Counter(feature for sentence in sentences for feature in sentence.features & asked)
    return {feature: math.log(1 + len(sentences) / (count[feature] + 0.5)) for feature in asked if count[feature]}


def _worth(features: Iterable[str], weights: dict[str, float]) -> float:
    return sum(weights[feature] for feature in features)


def _features(text: str) -> frozenset[str]:
    return frozenset(_feature_list(text))


def _feature_list(text: str) -> Iterator[str]:
    """Yield letter pairs of Korean words, whose endings change, and stems of the others."""
    for word in _WORD.findall(text):
        if word[0] >= "가":
            if len(word) == 1:
                yield word
            for start in range(len(word) - 1):
                yield word[start : start + 2]
        else:
            yield _stem(word.lower())


def _stem(word: str) -> str:
    for ending in ("ations", "ation", "ings", "ing", "ies", "ied", "ed", "es", "s", "e", "y"):
        if len(word) - len(ending) >= 3 and word.endswith(ending):
            return word[: -len(ending)]
    return word


def _repeats(one: _Sentence, other: _Sentence) -> bool:
    smaller = min(len(one.features), len(other.features))
    limit = _REPEATS if one.index == other.index else _REPEATS_ELSEWHERE
    return smaller == 0 or len(one.features & other.features) >= limit * smaller


def _cut(text: str, weights: dict[str, float]) -> str:
    """Return `text`, or what of it is closest to the question where it is too long to quote."""
    if len(text) <= MAX_CHARS:
        return text
    step = MAX_CHARS // 2
    starts = range(0, len(text) - step, step)
    best = max(
        starts, key=lambda start: sum(weights.get(each, 0.0) for each in _features(text[start : start + MAX_CHARS]))
    )
    piece = text[best : best + MAX_CHARS]
    if best and " " in piece:
        piece = piece.partition(" ")[2]
    if best + MAX_CHARS < len(text) and " " in piece:
        piece = piece.rpartition(" ")[0]
    return ("… " if best else "") + piece + (" …" if best + MAX_CHARS < len(text) else "")
