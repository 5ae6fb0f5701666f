"""The secrets of installations: encrypted for the row that they stand in, compared by keyed hashes."""

import hmac
import secrets
from datetime import datetime

from backend.core.secret_box import SecretBox
from backend.dto.tenant import Installation
from backend.repository.installation import Kept, Sealed

SECRET_BYTES = 32
_PURPOSE = "platform-api-key"


class InstallationSecrets:
    """Seals and opens; the first use imports a library and may read a file, and belongs in a thread."""

    def __init__(self, box: SecretBox) -> None:
        self._box = box

    def new_secret(self) -> str:
        """Return a new secret for webhooks."""
        return secrets.token_urlsafe(SECRET_BYTES)

    @property
    def key_id(self) -> str:
        return self._box.key_id

    def seal(self, tenant_id: str, platform: str, api_key: str, webhook_secret: str) -> Sealed:
        return Sealed(
            api_key=self._box.encrypt(api_key, _bound(tenant_id, platform, "api-key")),
            api_key_hash=self.hash(api_key),
            webhook_secret=self._box.encrypt(webhook_secret, _bound(tenant_id, platform, "webhook-secret")),
            key_id=self._box.key_id,
        )

    def api_key(self, kept: Kept) -> str:
        """Return the platform's key. Raises Unavailable when no key of the server fits."""
        found = kept.installation
        return self._box.decrypt(kept.sealed.api_key, _bound(found.tenant_id, found.platform, "api-key"))

    def webhook_secret(self, kept: Kept) -> str:
        """Return the webhooks' secret. Raises Unavailable when no key of the server fits."""
        found = kept.installation
        bound = _bound(found.tenant_id, found.platform, "webhook-secret")
        return self._box.decrypt(kept.sealed.webhook_secret, bound)

    def nobody(self, now: datetime) -> Kept:
        """Return an installation that does not exist, for doing as much work as for one that does."""
        sealed = self.seal("nobody", "nothing", self.new_secret(), self.new_secret())
        installation = Installation(
            tenant_id="nobody",
            platform="nothing",
            domain="",
            status="installed",
            account={},
            key_id=sealed.key_id,
            installed_at=now,
            updated_at=now,
        )
        return Kept(installation, sealed)

    def hash(self, api_key: str) -> str:
        """Return what stands for a key where it is compared."""
        return self._box.digest(api_key, _PURPOSE)

    def is_key(self, kept: Kept, api_key_hash: str) -> bool:
        """Whether a hash is that of the installation's key."""
        return hmac.compare_digest(kept.sealed.api_key_hash.encode(), api_key_hash.encode())


def _bound(tenant_id: str, platform: str, what: str) -> str:
    return f"installation/{tenant_id}/{platform}/{what}"
