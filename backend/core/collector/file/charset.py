"""Bytes to text, where nobody says in which character set they are."""

import codecs

from backend.core.collector.file.reason import refused

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 64 * 1024


def decode(data: bytes, declared: str | None = None) -> str:
    """Return the text: by its byte order mark, else as UTF-8, as `declared`, as CP949 (EUC-KR's superset), or by guess.

    UTF-8 goes before what a file declares: text that happens to be valid UTF-8 is nothing else, and declarations lie.

    Raises:
        InvalidFile: no character set fits.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            text = _strict(data, encoding)
            return text if text is not None else _fail()
    # Korean tools write EUC-KR and mean CP949; browsers read it so too (WHATWG Encoding Standard).
    korean = {"euc-kr", "euc_kr", "ks_c_5601-1987", "ksc5601", "korean"}
    names = ["utf-8"]
    if declared and not declared.lower().startswith("utf-16"):
        names.append("cp949" if declared.lower() in korean else declared)
    for name in names:
        if (text := _strict(data, name)) is not None:
            return text
    text = _strict(data, "cp949")
    if text is not None and _mostly_hangul(text):
        return text
    text = data.decode("utf-8", errors="replace")
    return text if _hardly_damaged(text) else _guess(data)


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _mostly_hangul(text: str) -> bool:
    """Whether what is beyond ASCII is mostly Hangul: Latin-1 text decodes as CP949 too, to rare ideographs."""
    beyond = [character for character in text[:_SAMPLE] if character > "\x7f"]
    return sum("가" <= character <= "힣" for character in beyond) * 2 > len(beyond)


def _hardly_damaged(text: str) -> bool:
    """Whether what was read as UTF-8 has few broken letters beside many whole ones: then it is UTF-8 and damaged."""
    broken = text.count("\ufffd")
    return broken * 20 < sum(letter > "\x7f" for letter in text)


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_SAMPLE]).best()
    text = _strict(data, best.encoding) if best is not None else None
    return text if text is not None else _fail()


def _fail() -> str:
    raise refused("charset")
