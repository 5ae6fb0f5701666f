"""Which language a person writes, and the words of a text that carry its meaning. Korean and English."""

import re
from operator import add
from typing import Literal

Language = Literal["ko", "en"]

_HANGUL = re.compile(r"[가-힣ㄱ-ㆎ]")
_WORD = re.compile(r"[가-힣ㄱ-ㆎ]+|[A-Za-z][A-Za-z'’-]*|\d[\d.,:-]*")

# Words that only an English sentence has: product names and abbreviations in a Korean one are English words too.
_ENGLISH = frozenset(
    "a an and are can could did do does for from has have how i in is it me my of on or please should tell that the"
    " their there these this those to was we were what when where which who whom why will with would you your".split()
)
_EMPTY_EN = _ENGLISH | frozenset(
    "about also any be been being but by explain give if into its just know let like more not one our so some than"
    " then they them us via want".split()
)
_EMPTY_KO = frozenset(
    "그 그거 그건 그것 그것은 그게 그걸 그럼 그러면 그리고 그런데 근데 거기 이거 이건 이것"
    " 이게 저거 저것 무엇 뭐 뭔가요 뭐야 뭐예요 무엇인가요 무엇입니까 언제 언제야 언제인가요"
    " 언제까지 어디 어디서 어디야 어디인가요 누구 누가 왜 어떻게 어떤 어느 얼마 얼마나 몇"
    " 있나요 있어 있어요 있습니까 있는지 되나요 돼 돼요 됩니까 하나요 해 해요 합니까 인가요"
    " 알려줘 알려줘요 알려주세요 알려 말해줘 설명해줘 설명해주세요 주세요 줘 좀 더 또 및 등"
    " 수 것 무슨".split()
)
_POINTERS_EN = frozenset("it its that this those these they them one ones there he she his her".split())
_POINTERS_KO = re.compile(
    r"^(그|이|저)(것|거|건|게|걸|곳|때|사업|공고|제도|중)|^(그|이|저|해당|위)$|^거기|^그럼|^그러면|^그리고|^그런데|^근데|^그중"
)
_OPENERS_EN = re.compile(r"^\s*(and|but|or|then|also|so|what about|how about)\b", re.IGNORECASE)

# Endings that Korean hangs on a noun.
_ENDINGS = frozenset(
    "은 는 이 가 을 를 의 에 와 과 도 만 로 으로 에서 에게 에는 에도 에서는 부터 까지 으로는 이나 나 이란 란 이라는"
    " 라는 이고 인지 인가요 인가 입니까 이에요 예요 이야 야 하고 처럼 보다 마다 대로".split()
)
_LONGEST_ENDING = 3
_SHORTEST_STEM = 2


def language(text: str) -> Language:
    """Return the language in which `text` is to be answered.

    A sentence with Hangul is Korean, however many English names it has, unless English grammar holds it together
    ("What does 예비창업패키지 mean?").
    """
    if not _HANGUL.search(text):
        return "en"
    words = _WORD.findall(text)
    korean = sum(1 for word in words if _HANGUL.match(word))
    english = sum(1 for word in words if word[0].isascii() and word[0].isalpha())
    grammar = sum(1 for word in words if word.lower() in _ENGLISH)
    return "en" if grammar >= 2 and english > korean else "ko"


def terms(text: str) -> list[str]:
    """Return the words of `text` that carry its meaning, once each, in order: lower case, without Korean endings."""
    found: dict[str, None] = {}
    for word in _WORD.findall(text):
        bare = _bare(word)
        if bare:
            found[bare] = None
    return list(found)


def leans_on_history(question: str) -> bool:
    """Return whether `question` is too short, or points too much ("and its deadline?"), to be searched by itself."""
    own = terms(question)
    if len(own) <= 1:
        return True
    if len(own) > 4:
        return False
    if _OPENERS_EN.match(question):
        return True
    words = _WORD.findall(question)
    return any(word.lower() in _POINTERS_EN or _POINTERS_KO.match(word) for word in words)


def letter_pairs(text: str) -> set[str]:
    """Return the neighbouring letters of `text`, for `overlap`."""
    text = text.lower()
    return set(map(add, text, text[1:]))


def overlap(sentence: str, pairs: set[str]) -> float:
    """Return the share, 0..1, of what `sentence` says that a text with these `letter_pairs` says too.

    Pairs of letters rather than words, since a Korean word changes its ending from sentence to sentence.
    """
    wanted = {term[place : place + 2] for term in terms(sentence) for place in range(len(term) - 1)}
    return len(wanted & pairs) / len(wanted) if wanted else 1.0


def _bare(word: str) -> str:
    if _HANGUL.match(word):
        if word in _EMPTY_KO:
            return ""
        stem = _without_ending(word)
        return "" if stem in _EMPTY_KO else stem
    lower = word.lower().strip("-.,:'’")
    return "" if lower in _EMPTY_EN or lower in _POINTERS_EN or (len(lower) < 2 and not lower.isdigit()) else lower


def _without_ending(word: str) -> str:
    for length in range(min(_LONGEST_ENDING, len(word) - _SHORTEST_STEM), 0, -1):
        if word[-length:] in _ENDINGS:
            return word[:-length]
    return word
