"""Tokens that somebody forged, changed, kept too long or stole: none of them opens (A2)."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest

from backend.dto.tenant import User
from backend.service.access_token import AUDIENCE, ISSUER
from test.identity.conftest import ACME, House

NOW = datetime.now(UTC)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(header: object, claims: object, key: bytes, digest: str = "sha256") -> str:
    text = f"{part(header)}.{part(claims)}"
    seal = hmac.new(key, text.encode(), digest).digest()
    return f"{text}.{base64.urlsafe_b64encode(seal).rstrip(b'=').decode()}"


class Forge:
    """A good token taken apart, and the server's own key: what is refused is refused for what was changed."""

    def __init__(self, house: House, token: str) -> None:
        self.token = token
        self.key_id, self.key = house.secrets.signing_key("access-token")
        self.header: dict[str, Any] = jwt.get_unverified_header(token)
        self.claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})

    def claim(self, **changes: Any) -> str:
        return signed(self.header, {**self.claims, **changes}, self.key)

    def without(self, name: str) -> str:
        return signed(self.header, {key: value for key, value in self.claims.items() if key != name}, self.key)

    def head(self, **changes: Any) -> str:
        return signed({**self.header, **changes}, self.claims, self.key)


@pytest.fixture
async def forge(home: House) -> Forge:
    login = await home.login_of("agent")
    return Forge(home, login["access_token"])


async def opens(house: House, token: str) -> bool:
    codes = set()
    for headers in ({b"authorization": f"Bearer {token}".encode()}, {b"x-api-key": token.encode()}):
        async with house.client() as http:
            answer = await http.get("/api/v1/auth/me", headers=headers)
        codes.add(answer.status_code)
        if answer.status_code != 200:
            assert answer.json()["detail"] in {"Invalid access token", "Invalid authorization header format"}
    assert codes in ({200}, {401})
    return codes == {200}


async def test_the_forge_makes_good_tokens(home: House, forge: Forge) -> None:
    """Else everything below would be refused for the wrong reason."""
    assert await opens(home, forge.claim())
    assert await opens(home, forge.head())
    assert await opens(home, forge.claim(iat=int(NOW.timestamp()) - 100, jti=str(uuid4())))


async def test_no_signature_and_no_other_algorithm_is_taken(home: House, forge: Forge) -> None:
    body = part(forge.claims)
    forged = [f"{part({**forge.header, 'alg': alg})}.{body}." for alg in ("none", "None", "NONE", "nOnE", "")]
    forged += [forge.head(alg=alg) for alg in ("HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA", "hs256", None, 5)]
    forged += [signed({**forge.header, "alg": "HS512"}, forge.claims, forge.key, "sha512")]
    forged += [signed({**forge.header, "alg": "HS384"}, forge.claims, forge.key, "sha384")]
    forged += [forge.token.rpartition(".")[0] + ".", forge.token.rpartition(".")[0]]
    assert not [token for token in forged if await opens(home, token)]


async def test_a_token_signed_with_another_key_is_refused(home: House, forge: Forge) -> None:
    public = b"-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----\n"
    keys = [b"", b"secret", b"\0" * 32, public, forge.key[:-1], forge.key + b"x", forge.key_id.encode()]
    keys += [home.secrets.signing_key(purpose)[1] for purpose in ("refresh", "access", "")]
    forged = [signed(forge.header, forge.claims, key) for key in keys]
    assert not [token for token in forged if await opens(home, token)]


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/dev/null",
        "' UNION SELECT 'x' --",
        "x' OR '1'='1",
        "",
        None,
        0,
        True,
        ["0"],
        {"a": 1},
        "https://evil.example/jwks.json",
        "\x00",
        "k" * 500,
    ],
)
async def test_a_key_is_only_picked_from_those_that_there_are(home: House, forge: Forge, kid: object) -> None:
    for key in (forge.key, b"", hashlib.sha256(b"").digest()):
        assert not await opens(home, signed({**forge.header, "kid": kid}, forge.claims, key))
    header = {name: value for name, value in forge.header.items() if name != "kid"}
    assert not await opens(home, signed(header, forge.claims, forge.key))


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"b64": True},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example/cert.pem"},
        {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
        {"x5c": ["MIIB"]},
        {"zip": "DEF"},
        {"cty": "JWT"},
    ],
)
async def test_a_header_that_says_more_than_ours_is_refused(home: House, forge: Forge, extra: dict[str, Any]) -> None:
    assert not await opens(home, forge.head(**extra))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "daedap.evil.example"},
        {"iss": "daeda"},
        {"iss": "daedapx"},
        {"iss": ""},
        {"iss": ["daedap"]},
        {"iss": None},
        {"aud": "daedap"},
        {"aud": [AUDIENCE]},
        {"aud": [AUDIENCE, "other"]},
        {"aud": "daedap-api-x"},
        {"aud": None},
        {"aud": ISSUER},
    ],
)
async def test_issuer_and_audience_are_exactly_ours(home: House, forge: Forge, changes: dict[str, Any]) -> None:
    assert not await opens(home, forge.claim(**changes))


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "tid", "ver", "fam", "iat", "nbf", "exp", "jti"])
async def test_every_claim_is_required(home: House, forge: Forge, name: str) -> None:
    assert not await opens(home, forge.without(name))
    assert not await opens(home, forge.claim(**{name: None}))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": -60},
        {"exp": -31},
        {"nbf": 120},
        {"iat": 120},
        {"exp": "never"},
        {"exp": float("inf")},
        {"exp": 10**30, "iat": 10**30, "nbf": 10**30},
        {"nbf": "x"},
    ],
)
async def test_a_token_is_good_in_its_time_alone(home: House, forge: Forge, changes: dict[str, Any]) -> None:
    now = datetime.now(UTC).timestamp()
    times = {
        name: now + value if type(value) is int and abs(value) < 10**6 else value for name, value in changes.items()
    }
    assert not await opens(home, forge.claim(**times))


async def test_clocks_may_differ_by_a_little(home: House, forge: Forge) -> None:
    now = datetime.now(UTC).timestamp()
    assert await opens(home, forge.claim(exp=int(now - 10)))
    assert await opens(home, forge.claim(iat=int(now + 10), nbf=int(now + 10)))


@pytest.mark.parametrize(
    "changes",
    [
        {"tid": "other"},
        {"tid": "default"},
        {"tid": "acme' OR '1'='1"},
        {"tid": ""},
        {"tid": ["acme"]},
        {"sub": str(uuid4())},
        {"sub": "operate"},
        {"sub": 1},
        {"ver": 0},
        {"ver": 2},
        {"ver": True},
        {"ver": "1"},
        {"ver": 1.0},
        {"fam": str(uuid4())},
        {"fam": "x"},
    ],
)
async def test_a_token_of_another_user_tenant_version_or_login_is_refused(
    home: House, forge: Forge, changes: dict[str, Any]
) -> None:
    assert not await opens(home, forge.claim(**changes))


async def test_claims_of_roles_and_scopes_are_not_believed(home: House, forge: Forge) -> None:
    token = forge.claim(role="owner", roles=["owner", "operator"], scopes=["operate", "admin"], scope="operate")
    me = (await home.ask("GET", "/api/v1/auth/me", token)).json()
    assert me["roles"] == ["agent"]
    assert not {"admin", "operate"} & set(me["scopes"])
    assert (await home.ask("GET", "/api/v1/tenants", token)).status_code == 403


@pytest.mark.parametrize(
    "token",
    [
        "..",
        "a.b.c",
        "...",
        "e30.e30.e30",
        "x" * 5000 + ".y.z",
        ".".join(["e30"] * 3) + "=",
        "eyJhbGciOiJIUzI1NiJ9..",
        "\u0000.\u0000.\u0000",
        "ddp_",
        "ddp_" + "A" * 43,
        "ddp_" + "A" * 42,
        "ddp_" + "%" * 43,
        "ddr_" + "A" * 43,
    ],
)
async def test_what_is_no_token_is_refused(home: House, token: str) -> None:
    assert not await opens(home, token)


async def test_a_token_that_is_huge_or_deep_is_refused(home: House, forge: Forge) -> None:
    assert not await opens(home, forge.claim(padding="x" * 3000))
    deep = part(forge.header) + "." + base64.urlsafe_b64encode(b'{"a":' * 300).decode() + ".x"
    assert not await opens(home, deep)


async def test_each_letter_of_a_token_counts(home: House, forge: Forge) -> None:
    for place in range(0, len(forge.token) - 1, 7):
        letter = "A" if forge.token[place] != "A" else "B"
        assert not await opens(home, forge.token[:place] + letter + forge.token[place + 1 :])


async def test_a_refresh_token_opens_no_door(home: House) -> None:
    login = await home.login_of("viewer")
    assert not await opens(home, login["refresh_token"])


async def test_a_token_of_another_server_is_refused(home: House, tmp_path: Any) -> None:
    (tmp_path / "elsewhere").mkdir()
    elsewhere = House(home.database, tmp_path / "elsewhere")
    login = await home.login_of("agent")
    assert not await opens(elsewhere, login["access_token"])


async def test_guesses_are_counted_and_what_was_good_once_is_not(home: House, forge: Forge) -> None:
    from backend.service.failure_limit import FailureLimit

    home.authenticator._failures = FailureLimit(3)
    expired = forge.claim(exp=int(NOW.timestamp()) - 1000)
    await home.ask("POST", "/api/v1/auth/logout-all", forge.token)
    for token in [expired, forge.token] * 5:
        assert (await home.ask("GET", "/api/v1/auth/me", token)).status_code == 401
    assert (await home.ask("GET", "/api/v1/auth/me", ACME)).status_code == 200
    for _ in range(3):
        assert (await home.ask("GET", "/api/v1/auth/me", forge.head(kid="x"))).status_code == 401
    assert (await home.ask("GET", "/api/v1/auth/me", ACME)).status_code == 429


async def test_an_expired_token_of_a_server_whose_clock_was_late_is_refused(home: House) -> None:
    """Made by the server itself, long ago."""
    login = await home.login_of("agent")
    claims = jwt.decode(login["access_token"], options={"verify_signature": False})
    user = User(
        user_id=login["user"]["user_id"],
        tenant_id="acme",
        email="",
        name="",
        role="agent",
        status="active",
        token_version=1,
        created_at=NOW,
        updated_at=NOW,
    )
    old = home.access_tokens.issue(user, claims["fam"], datetime.now(UTC) - timedelta(hours=1))
    new = home.access_tokens.issue(user, claims["fam"], datetime.now(UTC))
    assert not await opens(home, old)
    assert await opens(home, new)
