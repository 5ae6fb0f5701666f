"""Why a file was not taken, in words for the person who sent it, in English and Korean."""

from backend.core.error import InvalidFile

REASONS: dict[str, tuple[str, str]] = {
    "empty": ("The file is empty.", "파일이 비어 있습니다."),
    "no_text": (
        "No text was found in the file. A scanned document needs text recognition (OCR) first.",
        "파일에서 글자를 찾지 못했습니다. 스캔한 문서는 먼저 문자 인식(OCR)을 거쳐야 합니다.",
    ),
    "not_found": ("The file is no longer there.", "파일이 더 이상 존재하지 않습니다."),
    "too_large": (
        "The file has {size} bytes; at most {limit} are taken.",
        "파일 크기가 {size}바이트입니다. 최대 {limit}바이트까지 받을 수 있습니다.",
    ),
    "too_much_text": (
        "The file holds more than {limit} characters of text; split it.",
        "파일의 글자 수가 {limit}자를 넘습니다. 나누어 올려 주세요.",
    ),
    "too_many_pages": (
        "The file has {pages} pages; at most {limit} are taken.",
        "파일이 {pages}쪽입니다. 최대 {limit}쪽까지 받을 수 있습니다.",
    ),
    "too_many_rows": (
        "The table has more than {limit} rows or cells; split it.",
        "표의 행이나 칸이 {limit}개를 넘습니다. 나누어 올려 주세요.",
    ),
    "encrypted": (
        "The file is protected with a password; save it without one.",
        "암호가 걸린 파일입니다. 암호를 풀고 다시 올려 주세요.",
    ),
    "unsupported": (
        "This kind of file ({kind}) cannot be read.",
        "이 형식({kind})의 파일은 읽을 수 없습니다.",
    ),
    "old_office": (
        "The file has the old binary Office format; save it as DOCX or XLSX.",
        "예전 이진 오피스 형식입니다. DOCX나 XLSX로 저장해 주세요.",
    ),
    "mismatch": (
        "The name says {suffix}, but the content is {kind}.",
        "확장자는 {suffix}이지만 내용은 {kind} 형식입니다.",
    ),
    "ambiguous": (
        "The content is of several kinds at once ({kind}).",
        "내용이 동시에 여러 형식({kind})입니다.",
    ),
    "charset": (
        "The text is in no character set that could be recognized; save it as UTF-8.",
        "글자 인코딩을 알 수 없습니다. UTF-8로 저장해 주세요.",
    ),
    "damaged": ("The file is damaged: {detail}.", "파일이 손상되었습니다: {detail}."),
    "syntax": ("Line {line} is not valid JSON: {detail}.", "{line}번째 줄이 올바른 JSON이 아닙니다: {detail}."),
    "too_deep": ("The file is nested too deeply.", "파일의 중첩이 너무 깊습니다."),
    "bomb": (
        "The file unpacks to far more than it should ({detail}).",
        "압축을 풀면 비정상적으로 커지는 파일입니다 ({detail}).",
    ),
    "unsafe_archive": (
        "The file holds an entry that no document has ({detail}).",
        "문서에 있을 수 없는 항목이 들어 있습니다 ({detail}).",
    ),
    "too_slow": (
        "Reading the file took longer than {seconds} seconds.",
        "파일을 읽는 데 {seconds}초가 넘게 걸렸습니다.",
    ),
    "too_much_memory": (
        "Reading the file took more memory than is allowed.",
        "파일을 읽는 데 허용된 메모리를 넘었습니다.",
    ),
    "crashed": (
        "The file could not be read; it made the reader fail.",
        "파일을 읽지 못했습니다. 읽는 도중 오류가 발생했습니다.",
    ),
}


def refused(code: str, **values: object) -> InvalidFile:
    """Return the error of one reason; it has the members `code` and `detail_ko`."""
    english, korean = REASONS[code]
    return InvalidFile(english.format(**values), code=code, detail_ko=korean.format(**values))
