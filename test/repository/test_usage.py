"""The usage ledger, on both databases."""

from datetime import UTC, datetime

from backend.database.base import Database
from backend.dto.usage import Usage, UsageRecord
from backend.repository.usage import UsageRepository
from backend.util.id_generator import new_id

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
USAGE = Usage("gpt-5", input_tokens=812, output_tokens=64, cost=0.0014, calls=2, latency=0.9, estimated=True)


async def test_what_a_run_used_is_kept(database: Database) -> None:
    run_id = new_id()
    await database.write(lambda connection: UsageRepository(connection, "alpha").add(run_id, "kim", USAGE, NOW))
    kept = await database.read(lambda connection: UsageRepository(connection, "alpha").find(run_id))
    assert kept == UsageRecord(run_id, "alpha", "kim", USAGE, NOW)


async def test_another_tenants_usage_is_not_found(database: Database) -> None:
    run_id = new_id()
    await database.write(lambda connection: UsageRepository(connection, "alpha").add(run_id, "kim", USAGE, NOW))
    assert await database.read(lambda connection: UsageRepository(connection, "beta").find(run_id)) is None
