"""The knowledge graph: entities and how they relate, each of one tenant."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, JsonType, UtcDateTime


class EntityRow(Base):
    __tablename__ = "graph_entities"

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    label: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    properties: Mapped[dict[str, Any]] = mapped_column(JsonType)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RelationRow(Base):
    __tablename__ = "graph_relations"
    __table_args__ = (
        Index(
            *("ix_graph_relations_target", "tenant_id", "target_label", "target_key"),
            *("type", "source_label", "source_key"),  # all that is asked for: SQLite passes by an index that lacks some
        ),
        ForeignKeyConstraint(
            ["tenant_id", "source_label", "source_key"],
            ["graph_entities.tenant_id", "graph_entities.label", "graph_entities.key"],
            name="fk_graph_relations_source",
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["tenant_id", "target_label", "target_key"],
            ["graph_entities.tenant_id", "graph_entities.label", "graph_entities.key"],
            name="fk_graph_relations_target",
            ondelete="CASCADE",
        ),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    source_label: Mapped[str] = mapped_column(String(32), primary_key=True)
    source_key: Mapped[str] = mapped_column(String(255), primary_key=True)
    type: Mapped[str] = mapped_column(String(32), primary_key=True)
    target_label: Mapped[str] = mapped_column(String(32), primary_key=True)
    target_key: Mapped[str] = mapped_column(String(255), primary_key=True)
    properties: Mapped[dict[str, Any]] = mapped_column(JsonType)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
