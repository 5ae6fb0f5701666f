"""What the server must keep secret and read again: keys of platforms, and what signs its own tokens.

A blob is `v1.<key id>.<base64url of nonce, ciphertext and tag>`: AES-256-GCM (NIST SP 800-38D) under a key that is
derived from one of the box's for this use alone. A blob is bound to what it belongs to (`bound_to`, authenticated and
not stored), so that a row whose ciphertext was copied from another tenant's cannot be read.

Keys are rotated by putting a new one before the others (`SECRET_KEYS=new,old`): the first encrypts and signs, all
decrypt and verify. The last one makes the digests, so it is the last to be taken away, and with it every stored digest
has to be made again.
"""

import base64
import binascii
import hmac
import os
import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from loguru import logger
from pydantic import SecretStr

from backend.core.error import Unavailable
from backend.util.secret_key import KEY_BYTES, secret_key

_VERSION = "v1"
_NONCE_BYTES = 12
_OTHERS = 0o077


class SecretBox:
    """Encrypts, signs and compares with the server's own keys; quick, and safe to use from several threads."""

    def __init__(self, path: Path, keys: Sequence[SecretStr] = ()) -> None:
        """Take `keys` (base64 of 32 bytes each, the newest first), or the one in the file `path`.

        Without `keys` the file is read at first use, and made when there is none. Its content may become the last of
        `SECRET_KEYS` later.

        Raises:
            ValueError: a key is not base64 of 32 bytes.
        """
        self._path = path
        self._given = tuple(secret_key(key.get_secret_value()) for key in keys)

    def encrypt(self, text: str, bound_to: str) -> str:
        """Return a blob that only this server reads, and only together with the same `bound_to`."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key_id, key = next(iter(self._keys.items()))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(_derived(key, "encrypt")).encrypt(nonce, text.encode(), _bound(key_id, bound_to))
        return f"{_VERSION}.{key_id}.{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def decrypt(self, blob: str, bound_to: str) -> str:
        """Return the text of a blob.

        Raises:
            Unavailable: no key of this server fits, or the blob was changed or belongs elsewhere.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key_id = self.key_of(blob)
        key = self._keys.get(key_id)
        if key is None:
            raise Unavailable("A stored secret was encrypted with a key that is not among SECRET_KEYS.", key_id=key_id)
        try:
            data = base64.b64decode(blob.rpartition(".")[2], altchars=b"-_", validate=True)
            opened = AESGCM(_derived(key, "encrypt")).decrypt(
                data[:_NONCE_BYTES], data[_NONCE_BYTES:], _bound(key_id, bound_to)
            )
        except (InvalidTag, binascii.Error, ValueError):
            raise Unavailable("A stored secret cannot be read.", key_id=key_id) from None
        return opened.decode()

    @property
    def key_id(self) -> str:
        """The name of the key that encrypts and signs now."""
        return next(iter(self._keys))

    def key_of(self, blob: str) -> str:
        """Return the name of the key that a blob was encrypted with.

        Raises:
            Unavailable: it is no blob.
        """
        version, _, rest = blob.partition(".")
        key_id, dot, _ = rest.partition(".")
        if version != _VERSION or not dot:
            raise Unavailable("A stored secret cannot be read.")
        return key_id

    def digest(self, text: str, purpose: str) -> str:
        """Return a keyed hash (64 hexadecimal digits) for comparing secrets without storing them.

        It is made with the *last* key, which stays when another is put before it: digests outlive a rotation.
        """
        key = list(self._keys.values())[-1]
        return hmac.digest(_derived(key, f"digest:{purpose}"), text.encode(), "sha256").hex()

    def signing_key(self, purpose: str) -> tuple[str, bytes]:
        """Return the name and the 32 bytes of the key that signs for a purpose now."""
        key_id, key = next(iter(self._keys.items()))
        return key_id, _derived(key, f"sign:{purpose}")

    def verifying_keys(self, purpose: str) -> Mapping[str, bytes]:
        """Return every key that may have signed for a purpose, by name."""
        return {key_id: _derived(key, f"sign:{purpose}") for key_id, key in self._keys.items()}

    @cached_property
    def _keys(self) -> dict[str, bytes]:
        keys = self._given or (_kept(self._path),)
        return {_derived(key, "id").hex()[:16]: key for key in keys}


def _derived(key: bytes, purpose: str) -> bytes:
    """Return a key for one use; from it neither the key nor that of another use can be found."""
    return hmac.digest(key, f"daedap:{purpose}".encode(), sha256)


def _bound(key_id: str, bound_to: str) -> bytes:
    return f"{_VERSION}.{key_id}.{bound_to}".encode()


def _kept(path: Path) -> bytes:
    """Return the key in the file, which only its owner may read; make it when there is none."""
    if not path.exists():
        _make(path)
    if path.stat().st_mode & _OTHERS:
        logger.warning("{path} can be read by others; it should have the mode 600", path=path)
    try:
        return secret_key(path.read_text("ascii"))
    except (ValueError, OSError) as error:
        raise Unavailable(f"The secret key in {path.name} cannot be read: {error}") from None


def _make(path: Path) -> None:
    """Write a new key; of two servers that start at once, both go on with the same one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike a rename, it never takes the place of another's
        except FileExistsError:
            return
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    logger.info("made the secret key {path}; without it stored keys of platforms cannot be read", path=path)
