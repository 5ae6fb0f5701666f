"""How many tokens a text has, estimated."""

import re

_WIDE = re.compile(r"[^\x00-\x7f]")


def estimate_tokens(text: str) -> int:
    """Return about how many tokens today's models make of `text`: 4 ASCII letters each, or 1.5 others.

    An estimate, for the ledger, where an endpoint does not count: a real tokenizer would have to fetch its vocabulary.
    """
    wide = len(_WIDE.findall(text))
    return -(-(len(text) - wide) // 4) + -(-wide * 2 // 3)
