"""Fills an account's knowledge base."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from backend.simulator.freshdesk import sample_file
from backend.simulator.freshdesk.account import Account, File
from backend.simulator.freshdesk.blank import stamp
from backend.simulator.freshdesk.content import article as knowledge
from backend.simulator.freshdesk.desk import Desk
from backend.simulator.freshdesk.story import render

Json = dict[str, Any]


def past_file(
    account: Account,
    name: str,
    content_type: str,
    content: bytes | None,
    created: int,
    *,
    link_seconds: float | None = None,
    size: int | None = None,
) -> File:
    """Return a file of the past."""
    at = stamp(datetime.fromtimestamp(created, UTC))
    return File(account.new_id(), name, content_type, content, at, link_seconds, size)


def fill_knowledge(account: Account, desk: Desk, now: datetime) -> None:
    """Write the categories, folders and articles."""
    rng, clock = Random(11), account.clock
    account.clock = lambda: now - timedelta(days=200)
    first = stamp(account.clock())
    categories = []
    for position, (name, english, about) in enumerate(knowledge.CATEGORIES):
        category = {
            "id": 43_000_800_001 + position,
            "name": name,
            "description": about,
            "created_at": first,
            "updated_at": first,
            "visible_in_portals": [43_000_800_900],
            "translations": {"en": {"name": english}},
        }
        account.categories[category["id"]] = category  # type: ignore[index]  # an int, as above
        categories.append(category)
    keys: dict[str, int] = {}
    companies = list(desk.companies)
    for position, folder in enumerate(knowledge.FOLDERS):
        number = keys[folder.key] = 43_000_810_001 + position
        account.folders[number] = {
            "id": number,
            "name": folder.name,
            "description": None,
            "category_id": categories[folder.category]["id"],
            "parent_folder_id": keys[folder.parent] if folder.parent else None,
            "hierarchy": [],
            "visibility": folder.visibility,
            "company_ids": companies[:2] if folder.visibility == 4 else [],
            "contact_segment_ids": [43_000_820_001] if folder.visibility == 6 else [],
            "company_segment_ids": [43_000_820_002] if folder.visibility == 7 else [],
            "articles_count": sum(1 for article in knowledge.ARTICLES if article.folder == folder.key),
            "sub_folders_count": sum(1 for below in knowledge.FOLDERS if below.parent == folder.key),
            "created_at": first,
            "updated_at": first,
            "translations": {"en": {"name": folder.name_en}} if folder.name_en else {},
        }
    for position, text in enumerate(knowledge.ARTICLES):
        at = now - timedelta(days=rng.randrange(5, 190), hours=rng.randrange(24))
        account.clock = lambda at=at: at  # type: ignore[misc]  # when it was written
        article = account.add_article(
            keys[text.folder],
            text.title,
            render(text.text),
            draft=text.draft,
            id=43_000_830_001 + position,
            tags=list(text.tags),
            hits=rng.randrange(20, 4_000),
            thumbs_up=rng.randrange(0, 90),
            thumbs_down=rng.randrange(0, 12),
            agent_id=rng.choice(list(desk.agents)),
        )
        if text.title_en and text.text_en:
            account.translate_article(article["id"], "en", text.title_en, render(text.text_en))
        if text.file:
            content = (
                sample_file.docx(
                    ["워크스페이스 소유자 변경 신청서", "상호:", "사업자등록번호:", "새 소유자 이름과 메일:"]
                )
                if text.file.endswith(".docx")
                else sample_file.pdf(["Label position guide", "1. Print a test label", "2. Measure the offset in mm"])
            )
            kind = sample_file.DOCX if text.file.endswith(".docx") else sample_file.PDF
            article["attachments"] = [account.attach(past_file(account, text.file, kind, content, int(at.timestamp())))]
    account.clock = clock
