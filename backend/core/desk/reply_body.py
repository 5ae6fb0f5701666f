"""What of a desk's answer says something, and a reply made of it: for who has no language model to write one."""

import re
from collections.abc import Iterable, Sequence

from backend.core.graph.passage_prompt import PromptPassage
from backend.core.model.extract import split_sentences

MAX_STEPS = 8
"""A list of more steps is a manual, and is quoted by sentences."""
_PART_END = re.compile(r"(?<=[.!?。~])[ \t]+(?=\S)")
_STEP = re.compile(r"^\s*\d{1,2}[.)]\s+(?=\S)")
_BULLET = re.compile(r"^\s*[-*•]\s+")
_LEFT_OVER = re.compile(r"\[[A-Z]{2,12}(?:_[0-9]{1,9})?\]")
_SOCIAL = re.compile(
    r"^\s*(?:안녕하|반갑|감사(?:합|드)|고맙|수고|(?:오늘도 )?(?:좋은|즐거운|행복한) 하루"
    r"|[^.\n]{0,40}죄송(?:합니다|드립니다)[.!]?\s*$"
    r"|(?:소중한 의견|문의|연락|기다려)(?:을|를)?\s?(?:해|하여|보내|남겨)?\s?주셔서|(?:이용에 |큰 )?불편을"
    r"|(?:추가로|더|또|그 ?외|다른)?\s?(?:궁금하신|문의하실?|필요하신)?\s?(?:점|사항|것|내용|도움)"
    r"(?:이|가)?\s?(?:더 )?(?:있으|필요)"
    r"|추가로? (?:궁금|문의)|언제든|[^.\n]{0,30}고객님[,.!]?\s*$"
    r"|[^.\n]{0,40}(?:팀|센터|담당자?|상담[사원]|매니저)\s?(?:의\s)?[^.\n]{0,14}(?:입니다|이었습니다|드림|올림)\s*[.!]?\s*$"
    r"|(?:hi|hello|hey|dear|good (?:morning|afternoon|evening))\b[^.\n]{0,60}[,.!]?\s*$"
    r"|(?:this is|my name is|i am|i'm) [^.\n]{1,40} (?:from|at|with|of) "
    r"|thanks?\b(?! to\b)|many thanks|(?:we|i) (?:apologi|hope (?:this|that) helps)"
    r"|(?:(?:i|we)(?: am| are|'m|'re) )?(?:so |very |really )?sorry (?:for|to|about)\b"
    r"|(?:just |please |do )?(?:reply|write back|let (?:us|me) know|feel free|not hesitate|reach out|contact us"
    r"|get in touch)\b"
    r"[^\n]{0,60}\b(?:question|help|anything|something|further|else|open|unclear|concern|assist)"
    r"|if (?:you have any|there is anything|anything is)\b|(?:best|kind|warm)? ?regards|looking forward"
    r"|[^\n]{0,60}\|[^\n]{0,60}(?:평일|weekdays|mon\w*\s?[-–]\s?fri))"
    r"|^\s*[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,4}\s*$",
    re.IGNORECASE,
)
"""A greeting, who writes, thanks, an apology, the offer of more help, hours and a site: in every answer."""


_DEED = re.compile(
    r"\b(?:I|[Ww]e)(?:'ve|’ve)?\b[^.,;:]{0,30}?\b(?:[a-z]{3,}ed|reset|sent|made|found|put|took|set)\b"
    r"|^\s*(?:[Yy]our|[Tt]his)\b[^.,;:]{1,40}? (?:had|was|were|has been|have been)\b"
)
_PAST = re.compile(r"([가-힣])습니다[.!)]*\s*$")
_SIOS_PAIR = 20
"""The place of ㅆ among the last letters of a syllable: 했, 렸, 었."""


def body_of(reply: str) -> str:
    """Return an answer without what is in every answer; its lines stay lines."""
    lines = []
    for line in reply.splitlines():
        parts = [part for part in _PART_END.split(line) if not _SOCIAL.match(part[:300])]
        if parts or not line.strip():
            lines.append(" ".join(parts))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def advice_of(reply: str) -> str:
    """Return of an answer what helps another customer: not what was found out about this one, or done for them."""
    lines = []
    for line in body_of(reply).splitlines():
        parts = [part for part in _PART_END.split(line) if not _is_of_the_case(part)]
        if parts or not line.strip():
            lines.append(" ".join(parts))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _is_of_the_case(sentence: str) -> bool:
    """Return whether a sentence tells what was: "I have removed the block", "방금 처리했습니다"."""
    if past := _PAST.search(sentence[-40:]):
        return past[1] not in "있겠" and (ord(past[1]) - ord("가")) % 28 == _SIOS_PAIR
    return _DEED.search(sentence[:300]) is not None


def arranged(sentences: Iterable[str], passages: Sequence[PromptPassage]) -> str:
    """Return chosen sentences of passages as a person would send them.

    Those of one passage stand together and in its order; where a step of a list was chosen, all of its steps are
    there. What still has a mark in place of somebody's personal data is left out. Empty when nothing is left.
    """
    chosen: dict[int, list[tuple[int, str]]] = {}
    for sentence in sentences:
        text = _BULLET.sub("", sentence).strip()
        if not text or _LEFT_OVER.search(text) or _SOCIAL.match(text[:300]):
            continue
        plain = text.removesuffix(" …").removeprefix("… ")
        at, place = next(
            (
                (number, " ".join(passage.text.split()).find(plain))
                for number, passage in enumerate(passages)
                if plain in " ".join(passage.text.split())
            ),
            (len(passages), 0),
        )
        chosen.setdefault(at, []).append((place, text))
    blocks: list[str] = []
    for at, found in chosen.items():
        texts = [text for _, text in sorted(found)]
        steps = _steps(passages[at].text) if at < len(passages) else []
        if len(steps) > 1 and any(_STEP.match(text) for text in texts):
            others = [text for text in texts if not _STEP.match(text)]
            blocks += [f"- {text}" for text in others]
            blocks += [f"{number}. {step}" for number, step in enumerate(steps, start=1)]
        else:
            blocks += [f"- {_STEP.sub('', text)}" for text in texts]
    return blocks[0].removeprefix("- ") if len(blocks) == 1 else "\n".join(blocks)


def _steps(text: str) -> list[str]:
    """Return the numbered steps of a passage, without their numbers; none where they are too many."""
    steps = [" ".join(_STEP.sub("", line).split()) for line in text.splitlines() if _STEP.match(line)]
    steps = [" ".join(part for part in split_sentences(step) if not _SOCIAL.match(part)) for step in steps]
    kept = [step for step in steps if step and not _LEFT_OVER.search(step)]
    return kept if len(kept) == len(steps) and len(steps) <= MAX_STEPS else []
