"""Turns Korean and English text into the terms of the keyword index.

Korean glues particles to its words (한국은, 한국에서), so whitespace words do not meet: on KorQuAD they lose 13 points
of R@1. Two views of each Hangul word, both without its particle, do better than either alone and than a morphological
analyser (R@1 on KorQuAD's 964 paragraphs, BM25 alone: words and bigrams .901, bigrams .899, words .892, bigrams with
particles .891, Kiwi morphemes .897), and need no model.
"""

import re
import unicodedata
from collections.abc import Iterator

VERSION = 1
"""Goes up with any change of what `terms` returns; an index made by another version is made again."""

MAX_TERM = 64
"""A longer run (a hash, a URL's tail) is cut: nobody types it, and it would only fill the index."""

_NUMBER = re.compile(r"\d+(?:,\d{3})*")
# Hangul; Latin; numbers; whatever else has letters.
_RUN = re.compile(rf"[가-힣]+|[a-zß-öø-ɏ]+|{_NUMBER.pattern}|[^\W\d_a-zß-öø-ɏ가-힣]+")

# Particles and the commonest endings that follow a noun. One that is taken off a word it belongs to does no harm: the
# same is done to the text and to the question.
_PARTICLES = frozenset(
    """
    은 는 이 가 을 를 에 의 와 과 도 로 만 들 한 해 된 할 될 인 나 란 고 으로 에서 에게 까지 부터 보다 처럼 라고
    라는 이다 였다 이며 이고 에는 에도 로서 로써 과의 와의 들이 들은 들을 들의 하다 했다 하는 하여 되다 됐다 되는
    하고 한테 이나 이란 일까 은가 는가 인가 인지 하며 한다 된다 했던 였던 하기 하지 않은 않는 있는 있다 없는 없다
    이라고 이라는 이었다 에서는 에서도 으로는 으로서 으로써 에게서 이었던 하였다 했으며 하였으며
    """.split()
)
_LONGEST_PARTICLE = max(map(len, _PARTICLES))

# Words that ask or hold a sentence together; they say nothing about what it is about.
_STOP = frozenset(
    """
    a an the i my me we our you your it its is am are was were be been do does did can could will would should have
    has had of in on at to from for by with about and or not no if so this that these those there here what which
    who whom whose when where why how please
    """.split()
)
_ASKING = frozenset(
    """
    무엇 무엇인가 무엇인가요 무엇인지 무엇이 무엇을 무엇일까 뭐 뭔가요 뭐야 뭔지 누구 누구인가 누구인가요 누구의
    누가 언제 언제인가 언제인가요 언제까지 어디 어디인가 어디인가요 어디서 어디에 어디에서 어느 어떤 어떻게 어떠한
    왜 얼마 얼마나 얼마인가 얼마인가요 몇 알려줘 알려주세요 궁금합니다 궁금해요 있나요 있는가 있습니까 인가요 되나요
    하나요 하는가 했는가 합니까 됩니까 주세요 대해 대한 관한 대하여 위한 그 이 저 것 수 등
    있는 있다 있을 있는지 있어 하는 되는 때 해야 싶은 싶은데
    """.split()
)

# What makes a question of a noun (신청하나요, 마감되나요, 참가하려면). A text does not ask, so with its ending the word
# would be one that no text has.
_ASKING_ENDINGS = re.compile(
    r"(?:[하되]나요|[하되]는가|했는가|됐는가|하였는가|되었는가|[합됩입]니까|습니까|인가요|한가요|나요|[할될을]까요|까요"
    r"|[하되]려면|려면|하려는|[해돼아어]요|이에요|예요)$"
)


def terms(text: str) -> list[str]:
    """Return the terms of `text`, in order and with repetitions.

    Each is made of letters and digits alone. A Hangul word gives its form (marked by a `w` before it) and its pairs of
    letters; an English word its stem; a number its digits, without what separates its thousands.
    """
    found: list[str] = []
    for run in _runs(text):
        if "가" <= run[0] <= "힣":
            word = _without_particle(run)
            found.append("w" + word)
            found.extend(_pairs(word))
        elif "a" <= run[0] <= "z" or "ß" <= run[0] <= "ɏ":
            if run not in _STOP:
                found.append(_stem(run))
        elif run[0].isdecimal():
            found.append(_number(run))
        else:
            found.extend(_pairs(run))  # Han, Kana, Cyrillic …: pairs serve scripts with and without spaces
    return found


def question_words(text: str) -> list[tuple[str, ...]]:
    """Return what a question is about: the terms of each word of `text`, without the words that only ask."""
    runs = list(_runs(text))
    words = [tuple(terms(run)) for run in map(_asked, runs)]
    if not any(words):
        words = [tuple(terms(run)) for run in runs]
    return [word for word in dict.fromkeys(words) if word]


def question_terms(text: str) -> list[str]:
    """Return the terms of the question's words, each once."""
    return list(dict.fromkeys(term for word in question_words(text) for term in word))


def _asked(run: str) -> str:
    """Return the word without the ending that asks; nothing when it only asks."""
    noun = _ASKING_ENDINGS.sub("", run)
    if run in _ASKING or noun in _ASKING or (noun != run and len(noun) < 2):
        return ""
    return noun


def numbers(text: str) -> frozenset[str]:
    """Return the terms of `text` that are numbers."""
    return frozenset(map(_number, _NUMBER.findall(unicodedata.normalize("NFKC", text))))


def _number(digits: str) -> str:
    return digits.replace(",", "").lstrip("0") or "0"  # 04월 is 4월, 1,000 is 1000


def _runs(text: str) -> Iterator[str]:
    for match in _RUN.finditer(unicodedata.normalize("NFKC", text).lower()):
        yield match.group()[:MAX_TERM]


def _pairs(word: str) -> list[str]:
    return [word[i : i + 2] for i in range(len(word) - 1)] or [word]


def _without_particle(word: str) -> str:
    """Take the longest known ending off, if two letters of the word stay."""
    for length in range(min(_LONGEST_PARTICLE, len(word) - 2), 0, -1):
        if word[-length:] in _PARTICLES:
            return word[:-length]
    return word


def _stem(word: str) -> str:
    """Take the commonest English endings off (plural, -ed, -ing, -ly), so that the forms of a word meet."""
    if len(word) <= 4:
        return word.removesuffix("s") if len(word) == 4 and not word.endswith("ss") else word
    for ending, rest in (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""), ("ly", "")):
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending) + rest
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 4 else word
