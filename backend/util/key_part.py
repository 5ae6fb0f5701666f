"""Parts of a key: whatever a part holds, keys of different parts are different."""

from hashlib import sha256
from urllib.parse import quote

LONGEST = 200
"""Characters of an encoded part, beyond which its digest stands for it."""


def key_part(text: str) -> str:
    """Return a text of the letters `A-Z a-z 0-9 _ . - ~ % #` alone, another one for each other part.

    So a `:` in a part is no border between parts, and no part holds a sign that Redis' patterns give a meaning
    outside of brackets. `#` stands only before the digest of a long part, since it is itself written `%23`.
    """
    encoded = quote(text, safe="", errors="surrogatepass")
    if len(encoded) <= LONGEST:
        return encoded
    return f"#{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
