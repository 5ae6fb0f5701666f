"""A process that collects from a Freshdesk: `python -m test.sync.process ROWS URL` goes on until it ended or is killed.

It begins a full collection when there is none, and prints the job's end.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from backend.core.collector.freshdesk.limiter import Limiters
from backend.core.collector.freshdesk.network import FreshdeskNetwork
from backend.core.collector.freshdesk.platform import FreshdeskPlatform
from backend.core.collector.platform import SupportSource
from backend.simulator.freshdesk import DEMO_KEY
from test.sync.desk import KIM, Desk, Office, open_database, open_office


@asynccontextmanager
async def freshdesk_office(rows: Path, url: str, subdomain: str, **options: Any) -> AsyncIterator[Office]:
    """Open the collecting from a simulated Freshdesk, through the real client."""
    origin = urlsplit(url)._replace(path="").geturl()
    platform = FreshdeskPlatform(FreshdeskNetwork(origin), Limiters(5), timeout=30, patience=60)

    async def source(tenant_id: str, name: str) -> SupportSource:
        return await platform.connect(f"{subdomain}.freshdesk.com", SecretStr(DEMO_KEY))

    try:
        async with open_database(rows) as database, open_office(database, Desk(), source, **options) as office:
            yield office
    finally:
        await platform.close()


async def main(rows: Path, url: str, subdomain: str) -> None:
    async with freshdesk_office(rows, url, subdomain) as office:
        jobs, _ = await office.service.list(KIM)
        job = jobs[0] if jobs else await office.service.start(KIM, "full")
        async with asyncio.timeout(120):
            job = await office.service.wait(KIM, job.job_id)
        print(job.status, job.counts.changed, job.counts.failed, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:]))
