"""What a reader sees of a mail's HTML, line by line, and which lines quote another mail.

Read in one pass, token by token, by the rules of the HTML standard that matter for text (§13.2.5: where a tag ends,
what raw text is). A tree would be simpler; the parser that we have takes minutes to build one of 200,000 nested
elements, and anybody may send a mail.
"""

import html
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

MAX_TOKENS = 50_000
"""Tags and texts that are read of one mail; what follows is left out."""
_MAX_LINK = 500
_MAX_ATTRIBUTES = 4_000
_MAX_SEARCH = 64
"""Open elements that are looked through for the one that a tag closes."""

_MAIL_TAG = re.compile(
    r"<(?:!doctype\s+html|/?(?:html|head|body|div|p|br|span|a|b|i|u|em|strong|font|table|tbody|tr|td|th|ul|ol|li|img|pre"
    r"|code|blockquote|style|script|h[1-6]|hr|center|section|article|meta|title)(?=[\s/>]))",
    re.IGNORECASE,
)
# Possessive throughout: each letter is looked at once. What is never closed goes on to the end, as in a browser.
_TOKEN = re.compile(
    r"(?P<text>[^<]++)"
    r"|<!--(?P<comment>)"
    r"|<(?P<close>/?)(?P<name>[a-zA-Z][^\s/>]*+)"
    r"(?P<rest>(?:[^>=]++|=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))?+)*+)>?"
    r"|<[!?/][^>]*+>?"
    r"|(?P<sign><)"
)
_ATTRIBUTE = re.compile(r"([^\s=/>\"']+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+)))?")
_RAW = frozenset("script style title textarea iframe noembed noframes xmp noscript".split())
_SKIPPED = frozenset("template svg math object canvas audio video select button".split())
_VOID = frozenset("br img hr input meta link col area base wbr embed source track param".split())
_PARAGRAPHS = frozenset("p h1 h2 h3 h4 h5 h6 ul ol dl table pre blockquote hr".split())
_BLOCKS = _PARAGRAPHS | frozenset(
    "html body div section article main header footer nav aside form fieldset address center li dt dd tr td th caption"
    " figure figcaption details summary thead tbody tfoot".split()
)
_CLOSED_BY_NEXT: Mapping[str, frozenset[str]] = {
    "li": frozenset({"li"}),
    "td": frozenset({"td", "th"}),
    "th": frozenset({"td", "th"}),
    "tr": frozenset({"tr", "td", "th"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
}
_HIDDEN = re.compile(
    r"display:none|visibility:hidden|mso-hide:all|(?:font-size|max-height|opacity):0(?:\.0*)?(?:px|pt|em|rem|%)?(?:;|!|$)"
)
_QUOTE_CLASSES = frozenset(
    "gmail_quote gmail_attr yahoo_quoted moz-cite-prefix freshdesk_quote protonmail_quote tutanota_quote zmail_extra"
    " gmail_signature moz-signature protonmail_signature_block".split()
)
_SIGNATURE_CLASS = re.compile(
    r"(?:^|[\s_-])(?:e?mail|agent|user|ticket|x)?[_-]?signature(?:[_-]?block)?(?:\s|$)", re.IGNORECASE
)
"""What mail programs and help desks put around the sender's signature."""
_QUOTE_IDS = frozenset({"signature", "outlooksignature", "mail_signature"})
FORWARDED = re.compile(
    r"^[\s>*-]*(?:forwarded message|begin forwarded message|전달된 메시지|전달된 메일|forwarded by)", re.IGNORECASE
)
"""Begins what a mail hands on, which is its content and no quote."""
_FORWARD_SOON = re.compile(r"^(?:\s|&nbsp;|<[^<>]{0,300}>){0,40}[\s>*-]*(?:forwarded message|전달된 메)", re.IGNORECASE)

_NONE, _LINE, _PARAGRAPH, _CELL = 0, 1, 2, 3


@dataclass(slots=True)
class Line:
    text: str
    quoted: bool = False
    """Whether the mail's own mark-up says that it is from another mail, or the sender's signature."""


@dataclass(slots=True)
class _Element:
    tag: str
    quoted: bool
    hidden: bool
    literal: bool
    href: str = ""
    text_from: int = 0
    """Of a link: where its text begins among the parts of the line."""


def looks_like_html(text: str) -> bool:
    """Return whether `text` has an element that mails are made of; `<name@example.com>` is none."""
    return _MAIL_TAG.search(text) is not None


def html_lines(text: str) -> list[Line]:
    """Return the lines that a reader sees: without scripts and what is hidden, links with their addresses."""
    reader = _Reader()
    reader.read(text)
    return reader.lines


class _Reader:
    """Blocks only ask for a gap; the next text makes it, the widest once."""

    def __init__(self) -> None:
        self._done: list[Line] = []
        self._parts: list[str] = []
        """Of the line that is being written; joined once, since a line may be as long as the mail."""
        self._quoted = False
        self._blank = True
        """Whether that line has no text yet."""
        self._gap: int = _NONE
        self._lists: list[tuple[bool, int]] = []
        """Of each open list whether it has numbers, and how many items it has."""
        self._fresh = False
        """Whether a list item or a cell has begun, whose paragraphs begin on its own line."""
        self._open: list[_Element] = [_Element("", quoted=False, hidden=False, literal=False)]
        self._count: Counter[str] = Counter()
        """How many of each are open."""

    @property
    def lines(self) -> list[Line]:
        return [*self._done, Line("".join(self._parts), self._quoted)]

    def read(self, text: str) -> None:
        place = 0
        for _ in range(MAX_TOKENS):
            if place >= len(text):
                break
            token = _TOKEN.match(text, place)
            assert token is not None  # any letter is a text, or a sign
            place = token.end()
            if token["text"] is not None or token["sign"] is not None:
                self._text(html.unescape(token[0]) if "&" in token[0] else token[0])
            elif token["comment"] is not None:
                end = text.find("-->", place)
                place = len(text) if end < 0 else end + 3
            elif token["name"] is not None:
                tag = token["name"][:40].lower()
                if token["close"]:
                    self._closed(tag)
                elif tag in _RAW:
                    end = _end_of_raw(text, tag, place)
                    place = len(text) if end < 0 else end
                else:
                    self._opened(tag, token["rest"], text, place)

    def _opened(self, tag: str, rest: str, text: str, place: int) -> None:
        if tag in _BLOCKS:
            self._close_implied(tag)
        above = self._open[-1]
        attributes = _attributes(rest) if rest and not rest.isspace() else {}
        hidden = above.hidden or tag in _SKIPPED or _is_hidden(attributes)
        if tag == "br" and not hidden:
            self._break()
        quoted = above.quoted or tag == "blockquote" or _is_quote(attributes, text, place)
        if not hidden:
            self._enter(tag, quoted)
        if tag not in _VOID:
            element = _Element(tag, quoted, hidden, above.literal or tag == "pre")
            if tag == "a":
                element.href, element.text_from = attributes.get("href", ""), len(self._parts)
            self._open.append(element)
            self._count[tag] += 1

    def _closed(self, tag: str) -> None:
        if tag == "br":
            self._break()
        if not self._count[tag]:
            return
        if tag not in _BLOCKS:
            # `<b><p></b>` does not end the paragraph.
            for element in self._open[: -_MAX_SEARCH - 1 : -1]:
                if element.tag == tag:
                    break
                if element.tag in _BLOCKS:
                    return
            else:
                return
        while self._pop() != tag:
            pass

    def _close_implied(self, tag: str) -> None:
        """Close the paragraph, list item or cell that ends where `tag` begins (§13.1.2.4)."""
        closes = _CLOSED_BY_NEXT.get(tag, frozenset()) | {"p"} if tag not in {"td", "th"} else _CLOSED_BY_NEXT[tag]
        if not any(self._count[each] for each in closes):
            return
        last = 0
        for depth, element in enumerate(self._open[: -_MAX_SEARCH - 1 : -1], start=1):
            if element.tag in closes:
                last = depth
            elif element.tag in _BLOCKS and element.tag != "p":
                break
        for _ in range(last):
            self._pop()

    def _pop(self) -> str:
        element = self._open.pop()
        self._count[element.tag] -= 1
        if not element.hidden:
            self._leave(element)
        return element.tag

    def _enter(self, tag: str, quoted: bool) -> None:
        if tag in {"td", "th"}:
            # The first cell of a row begins its line; each further one goes on after a bar.
            self._gap = _CELL if self._gap in {_NONE, _CELL} else self._gap
            self._fresh = True
        elif tag in _PARAGRAPHS:
            self._widen(_PARAGRAPH)
        elif tag in _BLOCKS:
            self._widen(_LINE)
        if tag in {"ul", "ol"}:
            self._lists.append((tag == "ol", 0))
        elif tag == "li":
            numbered, count = self._lists.pop() if self._lists else (False, 0)
            self._lists.append((numbered, count + 1))
            self._gap = _PARAGRAPH if self._gap == _PARAGRAPH and not count else _LINE
            self._add(f"{count + 1}. " if numbered else "- ", quoted)
            self._fresh = True

    def _leave(self, element: _Element) -> None:
        tag = element.tag
        if tag in {"li", "td", "th"}:
            self._fresh = False
        if tag == "a":
            self._address(element)
        elif tag in {"ul", "ol"}:
            if self._lists:
                self._lists.pop()
            self._widen(_LINE if self._lists else _PARAGRAPH)
        elif tag in {"td", "th"}:
            self._gap = _NONE  # what its paragraphs asked for: the next cell stands on the same line
        elif tag in _PARAGRAPHS:
            self._widen(_PARAGRAPH)
        elif tag in _BLOCKS:
            self._widen(_LINE)

    def _address(self, link: _Element) -> None:
        href = " ".join(link.href.split())
        if not href.startswith(("http://", "https://", "mailto:")):
            return
        address = href.removeprefix("mailto:").partition("?")[0] if href.startswith("mailto:") else href
        shown = "".join(self._parts[link.text_from :])[-2 * _MAX_LINK :].strip()
        if shown and len(address) <= _MAX_LINK and address not in shown and shown.rstrip("/") not in address:
            self._add(f" ({address})", link.quoted)

    def _text(self, text: str) -> None:
        element = self._open[-1]
        if not element.hidden:
            self._say(text, element.quoted, element.literal)

    def _widen(self, gap: int) -> None:
        if self._gap != _CELL and not self._fresh:
            self._gap = max(self._gap, gap)

    def _break(self) -> None:
        # `<div><br></div>` and a second `<br>` are an empty line.
        self._gap = _PARAGRAPH if self._gap in {_LINE, _PARAGRAPH} or self._blank else _LINE

    def _say(self, text: str, quoted: bool, literal: bool) -> None:
        if literal:
            for position, line in enumerate(text.splitlines()):
                if position:
                    self._gap = _LINE
                self._add(line, quoted)
        elif text.isspace():
            if self._gap == _NONE and not self._blank:
                self._parts.append(" ")
        elif text:
            space = " " if text[0].isspace() and not self._blank else ""
            self._add(" ".join(text.split()), quoted, before=space, after=" " if text[-1].isspace() else "")

    def _add(self, text: str, quoted: bool, *, before: str = "", after: str = "") -> None:
        if self._gap in {_LINE, _PARAGRAPH} or (quoted != self._quoted and not self._blank):
            self._done.append(Line("".join(self._parts), self._quoted))
            if self._gap == _PARAGRAPH and not self._blank:
                self._done.append(Line("", self._quoted and quoted))
            self._parts, self._blank = [], True
        elif self._gap == _CELL and not self._blank:
            self._parts.append(" | ")
        elif before:
            self._parts.append(before)
        self._quoted, self._gap = quoted, _NONE
        self._parts += (text, after)
        self._blank = self._blank and not text
        self._fresh = self._fresh and not text


def _end_of_raw(text: str, tag: str, place: int) -> int:
    """Return where the raw text of a script or a style ends; -1 when it never does."""
    found = re.compile(rf"</{tag}(?=[\s/>])[^>]*>?", re.IGNORECASE).search(text, place)
    return found.end() if found else -1


def _attributes(rest: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(rest[:_MAX_ATTRIBUTES]):
        value = double or single or bare
        found.setdefault(name.lower(), html.unescape(value) if "&" in value else value)
    return found


def _is_hidden(attributes: Mapping[str, str]) -> bool:
    if "hidden" in attributes:
        return True
    style = attributes.get("style")
    return style is not None and _HIDDEN.search("".join(style.lower().split())) is not None


def _is_quote(attributes: Mapping[str, str], text: str, place: int) -> bool:
    if not _QUOTE_CLASSES.isdisjoint(attributes.get("class", "").split()):
        return _FORWARD_SOON.match(text[place : place + 600]) is None
    if _SIGNATURE_CLASS.search(attributes.get("class", "")[:500]):
        return True
    return attributes.get("id", "").lower() in _QUOTE_IDS
