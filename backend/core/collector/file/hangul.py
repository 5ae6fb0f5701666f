"""HWP and HWPX, the formats of Hancom Office, which Korean offices write."""

from pathlib import Path

from backend.core.collector.file.document import Limits, ParsedDocument, one_line
from backend.core.collector.file.markdown import read_markdown
from backend.core.collector.file.reason import refused


def read_hangul(path: Path, name: str, limits: Limits, media_type: str) -> ParsedDocument:
    """Return the document, by way of the Markdown that unhwp makes of it: headings and tables stay."""
    import unhwp

    options = unhwp.RenderOptions(escape_special_chars=False, max_heading_level=6)
    try:
        with unhwp.parse(path, render_options=options) as document:
            title = one_line(document.title or "")
            text = document.markdown
    except unhwp.UnhwpError as error:
        message = one_line(str(error))
        if "encrypt" in message.lower() or "password" in message.lower():
            raise refused("encrypted") from error
        raise refused("damaged", detail=message[:200]) from error
    return read_markdown(text, title or name, limits, media_type)
