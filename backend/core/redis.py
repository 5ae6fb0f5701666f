"""The connection to Redis or Valkey: for speed, never for correctness."""

from urllib.parse import urlsplit

from pydantic import SecretStr
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError

from backend.core.error import Unavailable

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
CONNECTIONS = 100


class RedisConnection:
    """Holds the one client of the process; `client` connects when it is first used."""

    def __init__(self, url: SecretStr) -> None:
        address = urlsplit(url.get_secret_value())
        self._name = f"{address.hostname or address.path}:{address.port or 6379}"
        self.client: Redis = Redis.from_url(
            url.get_secret_value(),
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            max_connections=CONNECTIONS,
            health_check_interval=30,
            retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), 2),
        )

    async def open(self) -> None:
        """Connect.

        Raises:
            Unavailable: nothing answers there, or it refuses the password.
        """
        await self.ping()

    async def ping(self) -> None:
        """Return when the server answers. Raises what `open` does."""
        try:
            await self.client.ping()
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis at {self._name} does not answer ({type(error).__name__}).") from error

    async def close(self) -> None:
        await self.client.aclose()
