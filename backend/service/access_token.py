"""Access tokens: JWTs (RFC 7519) that this server signs for its own users, and the checks of RFC 8725.

HS256 and nothing else, under keys that `SecretBox` derives for this use; `kid` only ever picks one of them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from backend.core.error import Unauthorized
from backend.core.secret_box import SecretBox
from backend.dto.tenant import User
from backend.util.id_generator import new_id

ALGORITHM = "HS256"
ISSUER = "daedap"
AUDIENCE = "daedap-api"
TOKEN_LIMIT = 2048
"""Characters; ours have some 450."""
LEEWAY = 30
"""Seconds that clocks may differ."""
_PURPOSE = "access-token"
_REQUIRED = ["iss", "aud", "sub", "tid", "ver", "fam", "iat", "nbf", "exp", "jti"]


class Expired(Unauthorized):
    """It is a token of ours that is too old: no guess, but no way in."""


@dataclass(frozen=True, slots=True)
class Claims:
    tenant_id: str
    user_id: UUID
    token_version: int
    family_id: UUID
    """The login that it came of."""


class AccessTokens:
    def __init__(self, secrets: SecretBox, ttl: int) -> None:
        """`ttl` is the seconds for which a token is good."""
        self._secrets = secrets
        self.ttl = ttl

    def issue(self, user: User, family_id: UUID, now: datetime) -> str:
        """Return a token for a user, who logged in as `family_id`."""
        import jwt

        key_id, key = self._secrets.signing_key(_PURPOSE)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(user.user_id),
            "tid": user.tenant_id,
            "ver": user.token_version,
            "fam": str(family_id),
            "jti": str(new_id()),
            "iat": now,
            "nbf": now,
            "exp": now + timedelta(seconds=self.ttl),
        }
        return jwt.encode(claims, key, ALGORITHM, {"kid": key_id})

    @staticmethod
    def looks_like_one(token: str) -> bool:
        return token.count(".") == 2 and len(token) <= TOKEN_LIMIT

    def read(self, token: str) -> Claims:
        """Return what a token says, if this server signed it and it is good now.

        Raises:
            Expired: it was good once.
            Unauthorized: anything else is wrong with it.
        """
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            key = self._secrets.verifying_keys(_PURPOSE).get(_text(header.get("kid")))
            # Whatever says where its key is, or names an extension that must be understood, is not ours.
            if key is None or set(header) != {"alg", "typ", "kid"}:
                raise Unauthorized("unknown key")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                [ALGORITHM],
                {"require": _REQUIRED, "strict_aud": True},
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=LEEWAY,
            )
            if type(claims["ver"]) is not int or not _text(claims["tid"]):
                raise Unauthorized("odd claims")
            return Claims(claims["tid"], UUID(claims["sub"]), claims["ver"], UUID(claims["fam"]))
        except jwt.ExpiredSignatureError:
            raise Expired("expired") from None
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            raise Unauthorized("not ours") from None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
