"""The real servers that the other tests stand on."""

import asyncpg
from redis.asyncio import Redis


async def test_a_test_gets_an_empty_postgresql_database_of_its_own(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("select count(*) from pg_tables where schemaname = 'public'") == 0
        await connection.execute("create table mark (id int)")
        assert await connection.fetchval("show server_encoding") == "UTF8"
    finally:
        await connection.close()


async def test_the_next_test_does_not_see_what_the_one_before_wrote(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("select to_regclass('mark')") is None
    finally:
        await connection.close()


async def test_a_real_valkey_answers(valkey_url: str) -> None:
    async with Redis.from_url(valkey_url) as client:
        assert await client.ping()
        assert (await client.info("server"))["server_name"] == "valkey"
