"""What a ticket is about, as far as it can be told for certain: error codes, products, the customer's company.

Nothing is guessed. An error code has a shape that no other word has; a product is one that the tenant named; a company
is the platform's own.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import islice

from backend.core.knowledge_graph import MAX_BATCH, MAX_KEY, MAX_NAME
from backend.dto.knowledge_graph import Entity, EntityKey, GraphPart, Label, Relation, RelationType

MAX_CHARS = 200_000
"""Of a text that is looked through."""
MAX_CODES = 50
"""Error codes of one text: a log that somebody pasted is not about a thousand things."""
MAX_PRODUCTS = 1_000

_CODE = re.compile(
    r"""(?<![A-Za-z0-9_./@-])(?:
        (?:E|ERR|ERROR)[-_]?\d{2,8}                 # E-1042, ERR404, ERROR_17
      | ERR(?:OR)?(?:_[A-Z0-9]+){1,8}               # ERR_CONNECTION_RESET
      | [A-Z]{2,8}-[45]\d{2,5}                      # AUTH-401, PAY-5003
      | ORA-\d{5}                                   # Oracle
      | SQLSTATE[ ]?\[?[0-9A-Z]{5}\b\]?
      | 0x[89A-Fa-f][0-9A-Fa-f]{7}                  # Windows: 0x80070005
    )(?![A-Za-z0-9_@-]|\.\w)""",
    re.VERBOSE,
)
_SPACES = re.compile(r"\s+")
_LATIN = r"[0-9A-Za-z_]"
_HANGUL = r"[가-힣]"


def extract(text: str, *, products: Collection[str] = ()) -> list[Entity]:
    """Return the error codes and products that a text names, each once, in the order of their first appearance."""
    text = _SPACES.sub(" ", text[:MAX_CHARS])
    found: dict[EntityKey, tuple[int, Entity]] = {}
    for match in _CODE.finditer(text):
        code = match[0].upper().replace("0X", "0x").replace("[", "").replace("]", "")
        entity = _entity("error_code", code, code)
        if entity is not None:
            found.setdefault(entity.id, (match.start(), entity))
            if len(found) == MAX_CODES:
                break
    folded = text.casefold()
    for name in islice(products, MAX_PRODUCTS):
        product = product_of(name)
        if product is not None and (at := _position(product.key, folded)) is not None:
            found.setdefault(product.id, (at, product))
    return [entity for _, entity in sorted(found.values(), key=lambda pair: (pair[0], pair[1].id))]


def product_of(name: str) -> Entity | None:
    """Return the entity of a product; None for an empty name."""
    name = _SPACES.sub(" ", name).strip()
    return _entity("product", name.casefold(), name)


def ticket_part(
    platform: str,
    ticket_id: str,
    texts: Iterable[str],
    *,
    tags: Sequence[str] = (),
    products: Collection[str] = (),
    company_id: str | None = None,
    company_name: str | None = None,
) -> GraphPart:
    """Return a ticket's part of the graph: itself, what it names, and its relations to that.

    The ticket's entity has its number and no title: people write names and numbers of their own into titles.
    """
    ticket = Entity(label="ticket", key=f"{platform}:{ticket_id}", name=f"#{ticket_id}")
    entities: dict[EntityKey, Entity] = {ticket.id: ticket}
    relations: dict[tuple[RelationType, EntityKey], Relation] = {}

    def relate(entity: Entity | None, type_: RelationType) -> None:
        if entity is not None:
            entities.setdefault(entity.id, entity)
            relations.setdefault(
                (type_, entity.id), Relation(source=ticket.id, type=type_, target=entity.id, properties={})
            )

    for entity in extract("\n".join(texts), products=products):
        relate(entity, "about" if entity.label == "product" else "mentions")
    tagged = {_SPACES.sub(" ", tag).strip().casefold() for tag in tags}
    for name in products:
        product = product_of(name)
        if product is not None and product.key in tagged:
            relate(product, "about")
    if company_id:
        relate(_entity("company", f"{platform}:{company_id}", company_name or company_id), "requested_by")
    kept = tuple(entities.values())[:MAX_BATCH]
    ids = {entity.id for entity in kept}
    related = tuple(relation for relation in relations.values() if relation.target in ids)
    return GraphPart(source=ticket.id, entities=kept, relations=related[:MAX_BATCH])


def _entity(label: Label, key: str, name: str) -> Entity | None:
    name = _SPACES.sub(" ", name).strip()[:MAX_NAME]
    return Entity(label=label, key=key[:MAX_KEY], name=name) if key and name and name.isprintable() else None


def _position(name: str, text: str) -> int | None:
    """Return where a name stands in a text as a word of its own, with or without a Korean particle behind it."""
    if name not in text:
        return None  # most products are in most texts not, and this is a hundred times quicker than a pattern
    before = _HANGUL if re.match(_HANGUL, name) else _LATIN
    # Particles are written onto a word, whichever script it is in; a Latin word ends where its letters end.
    after = "" if re.match(_HANGUL, name[-1]) else rf"(?!{_LATIN})"
    match = re.search(rf"(?<!{before}){re.escape(name)}{after}", text)
    return None if match is None else match.start()
