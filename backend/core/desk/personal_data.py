"""Finds what identifies a person and puts placeholders in its place, before a model or an index sees a text.

What is looked for has a form that can be checked: a check digit, a plausible date, a bank's name before it. What only
resembles it (order numbers, error codes, versions, dates, prices) stays, since a summary without them is of no use.
Names are not guessed: those are replaced that the ticket itself gives, or that a text announces ("성함: …").

Sources of the forms: resident and foreigner registration numbers, Enforcement Rule of the Resident Registration Act §2
and Immigration Act §31; business registration numbers, National Tax Service's check digit; cards, ISO/IEC 7812 (Luhn);
IBAN, ISO 13616 (mod 97).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "RRN", "EMAIL", "ACCOUNT", "CARD", "LICENCE", "BRN", "SSN", "PHONE", "PASSPORT", "PCCC", "IP", "ADDRESS", "BIRTH",
    "PLATE", "SECRET", "HANDLE", "NAME",
]  # fmt: skip
MAX_NAMES = 50
"""Names that are looked for in one ticket."""

_BEFORE = 24
"""Characters before a number by which it is told what it is."""
_DASH = "[-‐‑–]"
_GAP = "[-‐‑–. ]"
_WIDE_GAP = r"(?: ?[-‐‑–./~] ?\n? ?| )"
"""Between the parts of a number whose beginning tells what it is; a mail may be broken behind the dash."""
_FOLDED = (
    {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}  # ０ to 0, ＠ to @
    | {0x1D7CE + place: ord("0") + place % 10 for place in range(50)}  # 𝟎 and 𝟶 to 0
    | dict.fromkeys(map(ord, "‒—―−ー﹣－─"), "-")
    | dict.fromkeys(map(ord, "·ㆍ・•‧∙"), ".")
    | dict.fromkeys(map(ord, "～〜∼"), "~")
    | dict.fromkeys(map(ord, "\u00a0\u2002\u2003\u2009\u202f\u3000"), " ")
    | dict.fromkeys(map(ord, "●○■*✱＊"), "*")
)
"""Letters that are written for others, one for one: places in the folded text are those in the text."""

_ORDER = re.compile(
    r"(?:주문|송장|운송장|접수|티켓|예약|거래|승인|제품|상품|시리얼|일련|모델|오류|에러|코드|문서|관리)"
    r"\s*(?:번호|코드|no\.?)?\s*[:：#=(\[]*\s*$"
    r"|\b(?:order|ticket|invoice|tracking|reference|ref|serial|model|error|code|case|s/?n|sku|transaction|booking)"
    r"\s*(?:no\.?|number|id|code|#)?\s*(?:is|was)?\s*[:#=(\[]*\s*$",
    re.IGNORECASE,
)
_RESIDENT = re.compile(r"주민|외국인|등록\s*번호|resident|registration", re.IGNORECASE)
_CARD_WORD = re.compile(r"카드|card|visa|master|amex|비자|마스터", re.IGNORECASE)
_BUSINESS = re.compile(r"사업자|business\s+(?:registration|number)", re.IGNORECASE)
_PASSPORT_WORD = re.compile(r"여권|passport", re.IGNORECASE)
_VERSION = re.compile(
    r"(?:\bv|ver(?:sion)?|버전|build|빌드|펌웨어|firmware|release|릴리스)\.?\s*[:=]?\s*$", re.IGNORECASE
)

_BANK = (
    r"(?:(?:국민|신한|우리|하나|기업|농협|수협|대구|iM|부산|광주|전북|경남|제주|산업|제일|SC제일|씨티|한국씨티|외환|카카오|토스"
    r"|케이|K|KB|KB국민|NH|NH농협|IBK|IBK기업|KDB)\s?(?:은행|뱅크)|농협|수협|신협|우체국|새마을금고|카뱅|토뱅|케뱅)"
)
_SHORT_BANK = (
    r"(?:국민|신한|우리|하나|기업|농협|수협|대구|부산|광주|전북|경남|제주|산업|제일|SC제일|씨티|외환"
    r"|카카오|토스|케이|KB|KB국민|NH|NH농협|IBK)"
)
_ACCOUNT_NUMBER = rf"[0-9]{{2,6}}(?:{_DASH}?[0-9]{{1,8}}){{1,4}}"
_AREA = "0(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|50[0-9]|80)"
_PROVINCE = (
    r"(?:서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|전북|전남|경북|경남|제주|충청[남북]|전라[남북]|경상[남북])"
    r"(?:특별자치시|특별자치도|특별시|광역시|시|도)?"
)
_RUN_TOGETHER = rf"(?<![가-힣])(?![가-힣]{{2,8}}(?:도착|출발|출고|배송|주문|이동|방문|이용|사용)시){_PROVINCE}"
"""A province at the beginning of a word; "부산출고시" is when something leaves Busan."""
_SAID = "공영일이삼사오육칠팔구"
_MESSENGER = (
    r"(?:카카오톡|카톡|텔레그램|위챗|라인|인스타(?:그램)?|디스코드"
    r"|(?i:\b(?:kakao ?talk|kakao|telegram|wechat|instagram|discord|whatsapp)\b)|\b(?:LINE|Line)\b)"
)
_ID_WORD = r" ?(?:아이디|계정|(?i:id|username|handle|account)(?![A-Za-z]))"
_HANDLE = r"[A-Za-z0-9][A-Za-z0-9._-]{2,31}(?<![.-])"
_TELLING_HANDLE = r"(?=[A-Za-z0-9._-]{0,31}[0-9_])[A-Za-z][A-Za-z0-9._-]{2,31}(?<![.-])"

Check = Callable[[str, str], bool]
"""Whether a text of the right form is what it looks like, given the characters before it."""


@dataclass(frozen=True, slots=True)
class Redaction:
    """Texts without personal data, and what the placeholders in them stand for."""

    texts: tuple[str, ...]
    """In the order in which they were given."""
    placeholders: dict[str, str]
    """From `[PHONE_1]` to what stood there. Never shown to a model, never indexed."""


def redact(texts: Sequence[str], names: Iterable[str | None] = ()) -> Redaction:
    """Return `texts` with a placeholder for each piece of personal data: the same one wherever it is written the same.

    A placeholder that stands in a text already is never used for something else, so `restore` gives back each text
    exactly. Takes time linear in the texts.

    Args:
        texts: The messages of one ticket.
        names: Who the ticket says takes part in it.
    """
    taken = {match[0] for text in texts for match in _PLACEHOLDER.finditer(text)}
    folded = [text.translate(_FOLDED) for text in texts]
    named = _name_pattern([*names, *(name for text in folded for name in _announced(text))])
    given: dict[tuple[Kind, str], str] = {}
    counts: dict[Kind, int] = {}
    redacted: list[str] = []
    for text, plain in zip(texts, folded, strict=True):
        parts: list[str] = []
        end = 0
        for start, stop, kind in _found(plain, named):
            key = (kind, text[start:stop])
            if key not in given:
                given[key] = _next(kind, counts, taken)
            parts += (text[end:start], given[key])
            end = stop
        parts.append(text[end:])
        redacted.append("".join(parts))
    return Redaction(tuple(redacted), {placeholder: original for (_, original), placeholder in given.items()})


def restore(text: str, placeholders: Mapping[str, str]) -> str:
    """Return `text` with what its placeholders stand for; one that is not known stays.

    Only for what the desk's own people read.
    """
    return _PLACEHOLDER.sub(lambda match: placeholders.get(match[0], match[0]), text)


def _next(kind: Kind, counts: dict[Kind, int], taken: set[str]) -> str:
    while True:
        counts[kind] = counts.get(kind, 0) + 1
        placeholder = f"[{kind}_{counts[kind]}]"
        if placeholder not in taken:
            return placeholder


def _found(text: str, named: re.Pattern[str] | None) -> list[tuple[int, int, Kind]]:
    """Return where personal data stands, in order; where two overlap, the kind that is looked for first."""
    covered = bytearray(len(text))
    found: list[tuple[int, int, Kind]] = []

    def take(start: int, stop: int, kind: Kind) -> None:
        if start < stop and not any(covered[start:stop]):
            covered[start:stop] = b"\1" * (stop - start)
            found.append((start, stop, kind))

    for kind, pattern, check in _FORMS:
        for match in pattern.finditer(text):
            start, stop = match.span(match.lastgroup or 0)
            if check(text[start:stop], text[max(0, start - _BEFORE) : start]):
                take(start, stop, kind)
    if named is not None:
        for match in named.finditer(text):
            take(*match.span(), "NAME")
    return sorted(found)


def _digits(text: str) -> str:
    return "".join(letter for letter in text if "0" <= letter <= "9")


def _always(_text: str, _before: str) -> bool:
    return True


def _is_rrn(text: str, before: str) -> bool:
    digits = _digits(text)
    if not (1 <= int(digits[2:4]) <= 12 and 1 <= int(digits[4:6]) <= 31):
        return False
    if "*" in text or _RESIDENT.search(before):
        return True
    # Numbers given since October 2020 have no check digit; without a dash nothing else tells them from an order's.
    checked = len(digits) == 13 and _rrn_check(digits)
    return checked or (not text.isdigit() and _ORDER.search(before) is None)


def _rrn_check(digits: str) -> bool:
    total = sum(
        int(digit) * weight for digit, weight in zip(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=False)
    )
    base = 13 if digits[6] in "5678" else 11
    return (base - total % 11) % 10 == int(digits[12])


def _is_card(text: str, before: str) -> bool:
    digits = _digits(text)
    if not 13 <= len(digits) <= 19 or not _luhn(digits) or len(set(digits)) == 1:
        return False
    if _CARD_WORD.search(before):
        return True
    scheme = digits[0] in "4569" or digits[:2] in {"34", "35", "36", "37", "38"} or "2221" <= digits[:4] <= "2720"
    return scheme and len(digits) in {14, 15, 16} and _ORDER.search(before) is None


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_iban(text: str, _before: str) -> bool:
    compact = text.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1


def _is_brn(text: str, before: str) -> bool:
    digits = [int(digit) for digit in _digits(text)]
    total = sum(a * b for a, b in zip(digits, (1, 3, 7, 1, 3, 7, 1, 3, 5), strict=False)) + digits[8] * 5 // 10
    return (10 - total % 10) % 10 == digits[9] and ("-" in text or _BUSINESS.search(before) is not None)


def _is_own_phone(text: str, before: str) -> bool:
    """Whether a number that is said to be a telephone's is one, and not a firm's or a date."""
    digits = _digits(text)
    begins = text[0] in "0+(" or (len(digits) == 10 and digits[0] in "23456789")
    return begins and 8 <= len(digits) <= 15 and _is_phone(text, before)


def _is_account(text: str, _before: str) -> bool:
    return 10 <= len(_digits(text)) <= 16


def _is_phone(_text: str, before: str) -> bool:
    return _ORDER.search(before) is None and _VERSION.search(before) is None


def _is_passport(text: str, before: str) -> bool:
    if _PASSPORT_WORD.search(before):
        return True
    return text[0] == "M" and _ORDER.search(before) is None


def _is_public_ip(text: str, before: str) -> bool:
    parts = [int(part) for part in text.split(".")]
    if max(parts) > 255 or _VERSION.search(before):
        return False
    # Private and special addresses are of machines, and the desk needs them.
    private = parts[0] in {0, 10, 127, 255} or parts[0] >= 224 or parts[:2] in ([192, 168], [169, 254])
    # Nobody has an address like 1.2.3.4; a product has a version like it.
    return not private and not (parts[0] == 172 and 16 <= parts[1] <= 31) and not all(part < 20 for part in parts)


_FORMS: tuple[tuple[Kind, re.Pattern[str], Check], ...] = (
    (
        "EMAIL",
        re.compile(
            r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+'-]{0,63}@(?:[A-Za-z0-9가-힣-]{1,63}\.){1,6}[A-Za-z]{2,24}"
            r"|(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{1,63} @ (?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}"
        ),
        _always,
    ),
    (
        "EMAIL",  # written so that programs do not find it
        re.compile(
            r"(?<![A-Za-z0-9._+-])[A-Za-z0-9][A-Za-z0-9._+-]{0,63} ?[\[(] ?(?:at|AT|골뱅이) ?[\])] ?"
            r"[A-Za-z0-9-]{1,63}(?:(?:\.| ?[\[(] ?(?:dot|DOT) ?[\])] ?)[A-Za-z0-9-]{2,24}){1,4}"
        ),
        _always,
    ),
    (
        "EMAIL",  # as it is said
        re.compile(
            r"(?<![A-Za-z0-9._+-])[A-Za-z0-9][A-Za-z0-9._+-]{1,63} ?골뱅이 ?"
            r"(?:[A-Za-z0-9-]{2,63}|네이버|다음|구글|지메일|한메일|핫메일|카카오|네이트)"
            r"(?: ?(?:\.|점|닷|쩜|[Dd][Oo][Tt] ) ?(?:[A-Za-z]{2,24}|컴|넷|케이알|씨오)){1,3}"
        ),
        _always,
    ),
    (
        "RRN",
        re.compile(
            rf"(?<![0-9-])[0-9]{{6}} ?(?:{_DASH} ?\n?)? ?(?:[1-8](?:[0-9]{{6}}|[*xX]{{6}})|\*{{7}})(?![0-9])"
            rf"|(?<![0-9-])(?:[0-9] ){{5}}[0-9] ?{_DASH} ?[1-8](?: [0-9]){{6}}(?![0-9])"
        ),
        _is_rrn,
    ),
    ("ACCOUNT", re.compile(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), _is_iban),
    (
        "CARD",
        re.compile(
            r"(?<![0-9A-Za-z-])(?:[0-9]{13,19}|[0-9]{4}(?:[-._ ]\n?[0-9]{4}){2}[-._ ]\n?[0-9]{1,7}"
            r"|[0-9]{4}[- ][0-9]{6}[- ][0-9]{4,5})(?![0-9A-Za-z-])"
        ),
        _is_card,
    ),
    ("LICENCE", re.compile(r"(?<![0-9-])(?:1[1-9]|2[0-8])-[0-9]{2}-[0-9]{6}-[0-9]{2}(?![0-9-])"), _always),
    (
        "LICENCE",  # the older form, with the region's name
        re.compile(
            r"(?:서울|부산|대구|인천|광주|대전|울산|세종|경기|강원|충북|충남|전북|전남|경북|경남|제주)"
            r" ?[0-9]{2}-[0-9]{6}-[0-9]{2}(?![0-9-])"
        ),
        _always,
    ),
    ("BRN", re.compile(r"(?<![0-9-])(?:[0-9]{3}[- ][0-9]{2}[- ][0-9]{5}|[0-9]{10})(?![0-9-])"), _is_brn),
    ("ACCOUNT", re.compile(rf"{_BANK}[^0-9\n]{{0,20}}(?P<number>{_ACCOUNT_NUMBER})(?![0-9])"), _is_account),
    (
        "ACCOUNT",
        re.compile(
            rf"(?:계좌|account (?:number|no))[^0-9\n]{{0,15}}(?P<number>{_ACCOUNT_NUMBER})(?![0-9])", re.IGNORECASE
        ),
        _is_account,
    ),
    ("ACCOUNT", re.compile(rf"(?<![0-9-])(?P<number>{_ACCOUNT_NUMBER}) ?\(?{_BANK}"), _is_account),
    (
        "ACCOUNT",  # a bank's short name, which may be a word: only right before a number with the dashes of an account
        re.compile(
            rf"(?<![가-힣A-Za-z]){_SHORT_BANK} ?:? ?(?P<number>[0-9]{{2,6}}(?:{_DASH}[0-9]{{2,8}}){{2,3}}(?![0-9-]))"
        ),
        _is_account,
    ),
    (
        "ACCOUNT",
        re.compile(
            r"(?<![가-힣A-Za-z])(?:KB국민|NH농협|IBK기업|신한|카뱅|토뱅) ?:? ?(?P<number>[0-9]{10,14})(?![0-9-])"
        ),
        _is_account,
    ),
    ("PCCC", re.compile(r"\b[Pp][0-9]{12}\b"), _always),
    (
        "BIRTH",
        re.compile(
            r"(?:생년월일|생일|(?i:date of birth|birth ?date|birthday|\bdob))[^0-9\n]{0,10}"
            r"(?P<number>[0-9]{2,4}[-./년] ?[0-9]{1,2}[-./월] ?[0-9]{1,2}일?|[0-9]{6,8})(?![0-9])"
        ),
        _always,
    ),
    (
        "BIRTH",
        re.compile(r"(?<![0-9-])[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?= ?년?생(?![가-힣]))"),
        _always,
    ),
    ("PLATE", re.compile(r"차(?:량)? ?번호[^0-9\n]{0,8}(?P<number>[0-9]{2,3} ?[가-힣] ?[0-9]{4})(?![0-9])"), _always),
    (
        "SECRET",
        re.compile(
            r"(?:비밀번호|패스워드|(?i:\bpassword|\bpasswd|\bpwd))\s?(?:는|은|is|=|:)\s?"
            r"(?P<number>(?=[!-~]{0,63}[0-9])(?!https?:)[!-~]{6,64})"
        ),
        _always,
    ),
    (
        "HANDLE",  # where it is said to be one; what follows an id's name without a sign may be any word
        re.compile(rf"{_MESSENGER}{_ID_WORD}(?:는|은|가| ?[:=]| is) ?(?P<said>@?{_HANDLE})(?![A-Za-z0-9])"),
        _always,
    ),
    (
        "HANDLE",
        re.compile(
            rf"{_MESSENGER}(?:{_ID_WORD})? ?[:=]? ?(?:\(|is )?(?P<at>@{_HANDLE})"
            rf"|{_MESSENGER}(?:{_ID_WORD} ?| ?: ?)(?P<telling>{_TELLING_HANDLE})(?![A-Za-z0-9/])"
            rf"|{_MESSENGER}{_ID_WORD} (?P<named>{_HANDLE})(?=입니다|이에요|예요|이고|이며|으로 |로 )"
            r"|\b(?P<link>(?:t\.me|wa\.me|line\.me/ti/p|open\.kakao\.com/(?:o|me))/[~+]?[A-Za-z0-9_-]{3,40})"
        ),
        _always,
    ),
    ("SSN", re.compile(r"(?<![0-9-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![0-9-])"), _is_phone),
    (
        "PHONE",  # Korean mobile
        re.compile(
            rf"(?<![0-9A-Za-z.-])(?:(?:\+|00)?82{_GAP}?(?:\(0\)|0)?|0)1[016789]\)?{_WIDE_GAP}?[0-9]{{3,4}}{_WIDE_GAP}?"
            r"[0-9]{4}(?![0-9])"
        ),
        _is_phone,
    ),
    (
        "PHONE",  # Korean mobile, digit by digit or spelled
        re.compile(
            rf"(?<![0-9A-Za-z가-힣.-])[0공영][- .]?[1일][- .]?[016789공영육칠팔구]"
            rf"(?:(?: ?다시| ?대시|에|의)? ?[-.,]? ?[0-9{_SAID}]){{8}}(?![0-9])"
        ),
        _is_phone,
    ),
    (
        "PHONE",  # Korean fixed line
        re.compile(
            rf"(?<![0-9A-Za-z.-])(?:\({_AREA}\)|{_AREA}|\+82{_GAP}?[2-6][1-5]?)"
            rf"{_GAP}[0-9]{{3,4}}{_GAP}[0-9]{{4}}(?![0-9-])"
        ),
        _is_phone,
    ),
    (
        "PHONE",  # with a country's code
        re.compile(
            rf"(?<![0-9A-Za-z+])\+[1-9][0-9]{{0,2}}{_GAP}?\(?[0-9]{{1,4}}\)?(?:{_GAP}?[0-9]{{2,4}}){{2,4}}(?![0-9])"
        ),
        _is_phone,
    ),
    (
        "PHONE",  # North American
        re.compile(
            r"(?<![0-9A-Za-z.$-])(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])"
            r"[2-9][0-9]{2}[.-][0-9]{4}(?![0-9-])"
        ),
        _is_phone,
    ),
    (
        "PHONE",  # of any form, where it is said to be one
        re.compile(
            r"(?:전화|연락처|휴대폰|핸드폰|팩스|(?i:\btel\b|\bphone\b|\bmobile\b|\bfax\b|\bcall me (?:at|on)\b))"
            r"[^0-9+(\n]{0,12}(?P<number>(?:\+|\()?[0-9][0-9(). -]{6,18}[0-9])(?![0-9])"
        ),
        _is_own_phone,
    ),
    ("PHONE", re.compile(r"(?<![0-9+-])07[0-9]{3} [0-9]{6}(?![0-9])"), _is_phone),  # British mobile
    ("PASSPORT", re.compile(r"\b[MSRODG][0-9]{3}(?:[0-9]{5}|[A-Z][0-9]{4})\b"), _is_passport),
    ("IP", re.compile(r"(?<![0-9A-Za-z.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z]|\.[0-9])"), _is_public_ip),
    ("IP", re.compile(r"(?<![0-9A-Za-z:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![0-9A-Za-z:])"), _always),
    (
        "IP",
        re.compile(
            r"(?<![0-9A-Za-z:])[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{1,4}){1,5}::(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,4})?"
        ),
        _always,
    ),
    (
        "ADDRESS",
        re.compile(
            rf"(?<![가-힣]){_PROVINCE} (?:[가-힣]{{1,8}}[시군구] ){{1,2}}(?:[가-힣0-9]{{1,8}}[읍면동리] ){{0,2}}"
            r"(?:[가-힣0-9]{1,12}(?:로|길) ?[0-9]{1,5}(?:-[0-9]{1,4})?(?:번길 ?[0-9]{1,4}(?:-[0-9]{1,4})?)?"
            r"|[0-9]{1,5}-[0-9]{1,4})"
            r"(?:[, ]{1,2}(?:[가-힣A-Za-z0-9]{2,15}[, ]{1,2})?[가-힣A-Za-z0-9]{0,12}[0-9]{1,4}(?:동|층|호)){0,3}"
        ),
        _always,
    ),
    (
        "ADDRESS",  # written without spaces
        re.compile(
            rf"{_RUN_TOGETHER}[가-힣]{{1,4}}[시군구](?:[가-힣]{{1,4}}[시군구])?(?:[가-힣0-9]{{1,6}}[읍면동리])?"
            r"(?:[가-힣0-9]{1,8}(?:로|길)[0-9]{1,5}(?:-[0-9]{1,4})?(?:번길[0-9]{1,4}(?:-[0-9]{1,4})?)?"
            r"|(?<=[읍면동리])[0-9]{1,5}(?:-[0-9]{1,4})?(?:번지)?)"
            r"(?:[, ]{0,2}[가-힣A-Za-z0-9]{0,15}?[0-9]{1,4}(?:동|층|호)(?![가-힣])){0,3}"
        ),
        _always,
    ),
    (
        "ADDRESS",  # only its beginning without spaces
        re.compile(
            rf"{_RUN_TOGETHER}(?:[가-힣]{{1,4}}[군구]|(?<=도)[가-힣]{{1,4}}시)(?: ?[가-힣]{{1,4}}[군구])?"
            r"(?: ?[가-힣0-9]{1,6}[읍면동리])? (?:[가-힣0-9]{1,8}(?:로|길) ?[0-9]{1,5}(?:-[0-9]{1,4})?"
            r"(?:번길 ?[0-9]{1,4}(?:-[0-9]{1,4})?)?|(?<=[읍면동리] )[0-9]{1,5}(?:-[0-9]{1,4})?(?:번지)?)"
            r"(?:[, ]{1,2}(?:[가-힣A-Za-z0-9]{2,15}[, ]{1,2})?[가-힣A-Za-z0-9]{0,12}[0-9]{1,4}(?:동|층|호)){0,3}"
        ),
        _always,
    ),
    (
        "ADDRESS",  # a city and its district, without the province; or where it is said to be one
        re.compile(
            r"(?:(?<![가-힣])[가-힣]{2,5}시 [가-힣]{1,5}구"
            r"|(?:주소|배송지) ?: ?(?:[가-힣]{1,6}[시군구] ){0,2}[가-힣]{1,6}[시군구])"
            r" (?:[가-힣0-9]{1,8}[읍면동리] )?(?:[가-힣0-9]{1,12}(?:로|길) ?[0-9]{1,5}|(?<=[읍면동리] )[0-9]{1,5})"
            r"(?:-[0-9]{1,4})?(?:번지)?"
            r"(?:[, ]{1,2}(?:[가-힣A-Za-z0-9]{2,15}[, ]{1,2})?[가-힣A-Za-z0-9]{0,12}[0-9]{1,4}(?:동|층|호)){0,3}"
        ),
        _always,
    ),
    (
        "ADDRESS",  # American
        re.compile(
            r"(?<![0-9A-Za-z$.,-])[0-9]{1,5} (?:[A-Z][A-Za-z'.]{0,20} ){1,3}"
            r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Parkway|Pkwy)\b\.?"
            r"(?:,? (?:Apt|Suite|Ste|Unit|#)\.? ?[0-9A-Za-z]{1,6})?"
            r"(?:, [A-Z][A-Za-z. ]{1,30}, [A-Z]{2}(?: [0-9]{5}(?:-[0-9]{4})?)?)?"
        ),
        _always,
    ),
)
"""What is looked for, in the order in which one form goes before another."""

_PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(get_args(Kind))})_[0-9]{{1,9}}\]")

_NO_NAMES = frozenset(
    "고객 고객님 고객센터 담당자 관리자 상담원 상담사 운영자 시스템 사용자 익명 이름 없음"
    " admin administrator agent anonymous"
    " customer support system user unknown team helpdesk service info freshdesk".split()
)
_HANGUL = re.compile(r"[가-힣]{2,}")
_SHORT_ENDS = (
    r"(?=님|씨|께|군|양|은|는|이|가|을|를|의|에|도|와|과|입|드림|올림|배상|대리|과장|차장|부장|팀장|사원"
    r"|주임|선생|고객|[^가-힣]|\Z)"
)


_SURNAMES = (
    "김이박최정강조윤장임한오서신권황안송류유전홍고문양손배백허남심노하곽성차주우구민나진지엄채원천방공현"
    "함변염여추도소석선설마길연위표명기반왕금옥육인맹제모탁국어은편용"
)
_ANNOUNCED = re.compile(
    r"(?:성함|성명|이름|예금주|수령인|수취인|고객명|신청자명?|주문자명?|구매자명?|담당자명?"
    r"|(?:받는|보내는) ?(?:분|사람))"
    rf"(?: ?: ?(?P<said>[{_SURNAMES}][가-힣]{{1,3}}?)(?=님|씨|입니다|이며|이고|$|[^가-힣])"
    rf"|(?:은|는|이|가)? (?P<told>[{_SURNAMES}][가-힣]{{2}})(?= ?(?:입니다|이며|이고|이에요|예요|이라고|라고|님|씨)))"
    rf"|(?:예금주|수령인|수취인|(?:받는|보내는) ?(?:분|사람))(?:은|는)?"
    rf" (?P<bare>[{_SURNAMES}][가-힣](?![가이은는을를의도에로])[가-힣])(?=$|[^가-힣])"
    rf"|(?:저는|제가) (?P<own>[{_SURNAMES}][가-힣]{{2}})(?=(?:이?라고 합니다|입니다))"
    r"|(?:(?i:\bmy (?:full )?name is)|\b(?:[Nn]ame|[Cc]ardholder|[Rr]ecipient)(?: [Nn]ame)?:)"
    r" ?(?P<english>[A-Z][a-z'’-]{1,20}(?: [A-Z]\.?)?(?: [A-Z][A-Za-z'’-]{1,20}){1,2})",
    re.MULTILINE,
)
"""A name behind a word that announces one: of a common surname, since what follows "이름은" may be any word."""


def _announced(text: str) -> Iterator[str]:
    for match in _ANNOUNCED.finditer(text):
        yield match[match.lastgroup or 0]


def _name_pattern(names: Iterable[str | None]) -> re.Pattern[str] | None:
    """Return what finds the names, the longest first; in Korean also before what is hung on to them."""
    wanted: dict[str, None] = {}
    for name in names:
        plain = " ".join((name or "")[:80].split())
        if (
            len(plain) >= 2
            and "@" not in plain
            and plain.lower() not in _NO_NAMES
            and any(letter.isalpha() for letter in plain)
            and not any(letter in "[]" or letter.isdigit() for letter in plain)
        ):
            wanted[plain] = None
        if len(wanted) == MAX_NAMES:
            break
    if not wanted:
        return None
    parts: list[str] = []
    for name in sorted(wanted, key=lambda each: (-len(each), each)):
        written = r"\ ?".join(map(re.escape, name.split(" ")))
        if _HANGUL.fullmatch(name.replace(" ", "")):
            # A name of two syllables may begin another one (김민, 김민수).
            parts.append(rf"(?<![가-힣]){written}{_SHORT_ENDS if len(name) == 2 else ''}")
        else:
            parts.append(rf"(?<!\w){written}(?![^\W가-힣])")
    return re.compile("|".join(parts), re.IGNORECASE)
