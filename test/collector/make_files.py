"""Makes one small, valid file of every kind that is read, and the hostile ones that must be refused."""

import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

TITLE = "휴가 규정"
LINES = ("연차 휴가는 15일이다.", "Leave is requested three days ahead.")


def make_good(folder: Path) -> dict[str, Path]:
    """Return the valid files by suffix; each says `LINES` under the heading `제1장 휴가`, most have a table too."""
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path] = {}
    for suffix, make in _GOOD.items():
        files[suffix] = folder / f"rules{suffix}"
        files[suffix].write_bytes(make())
    return files


def make_hostile(folder: Path) -> dict[str, tuple[Path, str]]:
    """Return files that are refused, by what is wrong with them, each with the code of the reason."""
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, tuple[Path, str]] = {}
    for name, (file_name, code, make) in _HOSTILE.items():
        path = folder / file_name
        path.write_bytes(make())
        made[name] = (path, code)
    return made


def markdown() -> bytes:
    text = f"# {TITLE}\n\n## 제1장 휴가\n\n{LINES[0]}\n\n{LINES[1]}\n\n"
    return f"{text}| 근속 | 일수 |\n|---|---|\n| 1년 | 15일 |\n| 3년 | 16일 |\n".encode()


def html() -> bytes:
    table = "<table><tr><th>근속<th>일수</tr><tr><td>1년<td>15일</tr><tr><td>3년<td>16일</tr></table>"
    head = f'<meta charset="utf-8"><title>{TITLE}</title><style>p {{ color: red }}</style>'
    around = '<nav><a href="/">Home</a></nav><script>alert("no")</script>'
    body = f"{around}<h1>{TITLE}</h1><h2>제1장 휴가</h2><p>{LINES[0]}</p><p>{LINES[1]}</p>{table}"
    return f"<!doctype html><html><head>{head}</head><body>{body}</body></html>".encode()


def docx() -> bytes:
    from docx import Document

    document = Document()
    document.core_properties.title = TITLE
    document.add_heading("제1장 휴가", level=1)
    for line in LINES:
        document.add_paragraph(line)
    table = document.add_table(rows=0, cols=2)
    for row in (("근속", "일수"), ("1년", "15일"), ("3년", "16일")):
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    stream = BytesIO()
    document.save(stream)
    return stream.getvalue()


def xlsx() -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "제1장 휴가"
    for row in (("근속", "일수", "안내"), ("1년", "15일", LINES[0]), ("3년", "16일", LINES[1])):
        sheet.append(row)
    book.properties.title = TITLE
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


def pdf(*, pages: int = 1, password: str | None = None) -> bytes:
    """Return a PDF with a bookmark on its first page; its font maps each code to the same Unicode character."""
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(PdfReader(BytesIO(_pdf(LINES, pages))))
    writer.add_outline_item(title="제1장 휴가", page_number=0)
    writer.add_metadata({"/Title": TITLE})
    if password is not None:
        writer.encrypt(password, algorithm="RC4-128")
    stream = BytesIO()
    writer.write(stream)
    return stream.getvalue()


def _pdf(lines: tuple[str, ...], pages: int) -> bytes:
    characters = sorted({character for line in lines for character in line})
    mapping = "\n".join(f"<{ord(character):04X}> <{ord(character):04X}>" for character in characters)
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        f"1 begincodespacerange <0000> <FFFF> endcodespacerange\n{len(characters)} beginbfchar\n{mapping}\nendbfchar\n"
        "endcmap CMapName currentdict /CMap defineresource pop end end"
    )
    shown = " ".join(f"<{line.encode('utf-16-be').hex()}> Tj 0 -40 Td" for line in lines)
    content = f"BT /F1 12 Tf 72 720 Td {shown} ET"
    kids = " ".join(f"{6 + page} 0 R" for page in range(pages))
    description = "<< /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
    font = f"/Type /Font /Subtype /CIDFontType2 /BaseFont /X /DW 1000 /CIDSystemInfo {description}"
    uses = f"/ToUnicode 4 0 R /DescendantFonts [<< {font} >>]"
    resources = "/Resources << /Font << /F1 3 0 R >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        f"<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H {uses} >>",
        f"<< /Length {len(cmap)} >>\nstream\n{cmap}\nendstream",
        f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        *[f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R {resources} >>"] * pages,
    ]
    body = b"%PDF-1.4\n"
    offsets = []
    for number, item in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{item}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = f"trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF"
    return body + f"xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode()


def hwpx(section_head: str = "") -> bytes:
    """Return an HWPX file (KS X 6101): a ZIP archive of XML. `section_head` stands before the section's root."""
    paragraph = '<hp:p id="1" paraPrIDRef="0" styleIDRef="{style}"><hp:run charPrIDRef="0">{run}</hp:run></hp:p>'

    def line(text: str, style: int = 0) -> str:
        return paragraph.format(style=style, run=f"<hp:t>{text}</hp:t>")

    def cell(text: str, column: int, row: int) -> str:
        return (
            f'<hp:tc><hp:subList>{line(text)}</hp:subList><hp:cellAddr colAddr="{column}" rowAddr="{row}"/>'
            '<hp:cellSpan colSpan="1" rowSpan="1"/></hp:tc>'
        )

    cells = (("근속", "일수"), ("1년", "15일"), ("3년", "16일"))
    rows = "".join(
        "<hp:tr>" + "".join(cell(text, column, number) for column, text in enumerate(row)) + "</hp:tr>"
        for number, row in enumerate(cells)
    )
    table = paragraph.format(style=0, run=f'<hp:tbl rowCnt="3" colCnt="2">{rows}</hp:tbl>')
    namespace = "http://www.hancom.co.kr/hwpml/2011"
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    styles = "".join(
        f'<hh:style id="{number}" type="PARA" name="{name}" engName="{english}" paraPrIDRef="0" charPrIDRef="0"/>'
        for number, (name, english) in enumerate((("바탕글", "Normal"), ("개요 1", "Outline 1")))
    )
    return _zip(
        {
            "mimetype": "application/hwp+zip",
            "version.xml": f'{head}<hv:HCFVersion xmlns:hv="{namespace}/version" major="5" minor="1"/>',
            "META-INF/container.xml": f'{head}<o:container xmlns:o="urn:oasis:names:tc:opendocument:xmlns:container">'
            '<o:rootfiles><o:rootfile full-path="Contents/content.hpf" media-type="application/hwpml-package+xml"/>'
            "</o:rootfiles></o:container>",
            "Contents/content.hpf": f'{head}<opf:package xmlns:opf="http://www.idpf.org/2007/opf/"><opf:metadata>'
            f"<opf:title>{TITLE}</opf:title></opf:metadata><opf:manifest>"
            '<opf:item id="header" href="Contents/header.xml" media-type="application/xml"/>'
            '<opf:item id="section0" href="Contents/section0.xml" media-type="application/xml"/></opf:manifest>'
            '<opf:spine><opf:itemref idref="header"/><opf:itemref idref="section0"/></opf:spine></opf:package>',
            "Contents/header.xml": f'{head}<hh:head xmlns:hh="{namespace}/head" version="1.4" secCnt="1"><hh:refList>'
            f'<hh:styles itemCnt="2">{styles}</hh:styles></hh:refList></hh:head>',
            "Contents/section0.xml": f'{head}{section_head}<hs:sec xmlns:hs="{namespace}/section"'
            f' xmlns:hp="{namespace}/paragraph">{line("제1장 휴가", 1)}{"".join(map(line, LINES))}{table}</hs:sec>',
        }
    )


def hwp(*, password: bool = False) -> bytes:
    """Return an HWP 5.0 file: a compound file whose streams are lists of records."""
    flags = 2 if password else 0
    header = (b"HWP Document File".ljust(32, b"\0") + struct.pack("<II", 0x05000300, flags)).ljust(_MINIMUM, b"\0")
    properties = _record(16, 0, struct.pack("<H", 1).ljust(26, b"\0"))
    padding = _record(27, 1, bytes(_MINIMUM))
    paragraphs = b"".join(
        _record(66, 0, struct.pack("<I", len(text) + 1).ljust(22, b"\0"))
        + _record(67, 1, (text + "\r").encode("utf-16-le"))
        for text in ("제1장 휴가", *LINES, *(f"{number}번째 안내 문장이다." for number in range(200)))
    )
    return _compound({"FileHeader": header, "DocInfo": properties + padding, "BodyText/Section0": paragraphs})


def _record(tag: int, level: int, data: bytes) -> bytes:
    if len(data) < 0xFFF:
        return struct.pack("<I", tag | level << 10 | len(data) << 20) + data
    return struct.pack("<II", tag | level << 10 | 0xFFF << 20, len(data)) + data


_MINIMUM = 4096
"""Smaller streams of a compound file are kept in another way ([MS-CFB] 2.6.4), which is not made here."""
_FREE, _END, _TABLE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def _compound(streams: dict[str, bytes]) -> bytes:
    """Return a compound file ([MS-CFB]) of streams, each at the top or in one storage."""
    names: list[tuple[str, int, int, int, int, int]] = []  # name, type, right sibling, child, first sector, size
    table: list[int] = []
    data = b""
    storages = sorted({name.split("/")[0] for name in streams if "/" in name})
    top = sorted([name for name in streams if "/" not in name] + storages, key=lambda name: (len(name), name.upper()))
    order = [*top, *(name for name in streams if "/" in name)]
    for name in order:
        right = order.index(name) + 2 if name in top and name != top[-1] else _FREE
        if name in storages:
            child = next(position for position, stream in enumerate(order, start=1) if stream.startswith(f"{name}/"))
            names.append((name, 1, right, child, 0, 0))
            continue
        stream = streams[name]
        assert len(stream) >= _MINIMUM
        first, sectors = len(table), -(-len(stream) // 512)
        table += [*range(first + 1, first + sectors), _END]
        data += stream.ljust(sectors * 512, b"\0")
        names.append((name.rsplit("/", 1)[-1], 2, right, _FREE, first, len(stream)))
    entries = _entry("Root Entry", 5, _FREE, 1, _END, 0) + b"".join(_entry(*name) for name in names)
    entries = entries.ljust(-(-len(entries) // 512) * 512, b"\0")
    directory, sectors = len(table), len(entries) // 512
    table += [*range(directory + 1, directory + sectors), _END]
    allocation = len(table)
    table += [_TABLE] * (-(-(len(table) + 1) // 127))
    tables = list(range(allocation, len(table)))
    packed = struct.pack(f"<{len(table)}I", *table).ljust(len(tables) * 512, b"\xff")
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<IIIIIIIII", 0, len(tables), directory, 0, _MINIMUM, _END, 0, _END, 0)
    return head + struct.pack("<109I", *tables, *[_FREE] * (109 - len(tables))) + data + entries + packed


def _entry(name: str, kind: int, right: int, child: int, first: int, size: int) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    head = encoded.ljust(64, b"\0") + struct.pack("<HBBIII", len(encoded), kind, 1, _FREE, right, child)
    return head + bytes(36) + struct.pack("<IQ", first, size)


def _zip(entries: Mapping[str, str | bytes]) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _with_entry(original: bytes, name: str, content: bytes, mode: int = 0) -> bytes:
    stream = BytesIO(original)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = mode << 16
        archive.writestr(entry, content)
    return stream.getvalue()


def _damaged_zip() -> bytes:
    data = bytearray(hwpx())
    position = data.index(b"Contents/section0.xml") + len(b"Contents/section0.xml") + 40
    data[position] ^= 0xFF
    return bytes(data)


def _with_many_entries() -> bytes:
    return _zip({"word/document.xml": "<a/>"} | {f"word/{number}.xml": "" for number in range(1_200)})


_GOOD: dict[str, Callable[[], bytes]] = {
    ".md": markdown,
    ".txt": f"{TITLE}\n\n제1장 휴가\n\n{LINES[0]}\n\n{LINES[1]}\n".encode,
    ".html": html,
    ".pdf": pdf,
    ".docx": docx,
    ".xlsx": xlsx,
    ".csv": f"근속,일수,안내\n1년,15일,{LINES[0]}\n3년,16일,{LINES[1]}\n".encode,
    ".json": lambda: json.dumps({"title": "제1장 휴가", "text": "\n".join(LINES)}, ensure_ascii=False).encode(),
    ".jsonl": lambda: "\n".join(
        json.dumps({"title": "제1장 휴가", "text": line, "일수": 15}, ensure_ascii=False) for line in LINES
    ).encode(),
    ".hwpx": hwpx,
    ".hwp": hwp,
}

_LAUGHS = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'

_HOSTILE: dict[str, tuple[str, str, Callable[[], bytes]]] = {
    "nothing at all": ("empty.pdf", "empty", bytes),
    "spaces alone": ("spaces.txt", "no_text", lambda: b" \n\t\n "),
    "an encrypted PDF": ("secret.pdf", "encrypted", lambda: pdf(password="pass")),
    "an encrypted HWP": ("secret.hwp", "encrypted", lambda: hwp(password=True)),
    "a text called PDF": ("text.pdf", "mismatch", lambda: b"This is no PDF."),
    "a PDF called text": ("pdf.txt", "mismatch", pdf),
    "an image called Markdown": ("image.md", "mismatch", lambda: b"\x89PNG\r\n\x1a\n" + bytes(64)),
    "a workbook called DOCX": ("book.docx", "mismatch", xlsx),
    "a program": ("tool.bin", "unsupported", lambda: b"\x7fELF" + bytes(64)),
    "a plain archive": ("files.zip", "unsupported", lambda: _zip({"a.txt": "a"})),
    "an archive called DOCX": ("files.docx", "mismatch", lambda: _zip({"a.txt": "a"})),
    "a document and a workbook in one": (
        "both.docx",
        "ambiguous",
        lambda: _with_entry(docx(), "xl/workbook.xml", b"<a/>"),
    ),
    "a zip bomb": ("bomb.docx", "bomb", lambda: _with_entry(docx(), "word/media/a.xml", bytes(150 * 1024 * 1024))),
    "a wide zip bomb": ("entries.docx", "bomb", _with_many_entries),
    "an entry that leads outside": (
        "slip.docx",
        "unsafe_archive",
        lambda: _with_entry(docx(), "../../etc/passwd", b"x"),
    ),
    "a link": ("link.docx", "unsafe_archive", lambda: _with_entry(docx(), "word/link", b"/etc/passwd", 0o120777)),
    "a billion laughs": ("laughs.hwpx", "unsafe_archive", lambda: hwpx(_LAUGHS)),
    "a broken archive": ("broken.hwpx", "damaged", _damaged_zip),
    "half an archive": ("half.docx", "damaged", lambda: docx()[:3000]),
    "half a PDF": ("half.pdf", "damaged", lambda: b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog"),
    "broken JSON": ("broken.json", "syntax", lambda: b'{"a": 1,\n"b": }'),
    "a broken JSON line": ("broken.jsonl", "syntax", lambda: b'{"a": 1}\n{"b": \n'),
    "deep JSON": ("deep.json", "too_deep", lambda: b"[" * 100_000 + b"]" * 100_000),
    "deep HTML": ("deep.html", "too_deep", lambda: b"<html>" + b"<span>" * 5_000 + b"text"),
    "an old workbook": ("old.xls", "old_office", lambda: _compound({"Workbook": bytes(4096)})),
}
