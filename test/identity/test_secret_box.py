"""Secrets at rest."""

import base64
import secrets
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from backend.config.setting import SettingError, load_settings
from backend.core.error import Unavailable
from backend.core.secret_box import SecretBox


def key() -> SecretStr:
    return SecretStr(base64.b64encode(secrets.token_bytes(32)).decode())


def test_what_is_encrypted_is_read_again_by_another_server_over_the_same_file(tmp_path: Path) -> None:
    blob = SecretBox(tmp_path / "data" / "secret.key").encrypt("열쇠-1", "acme:freshdesk")
    assert "열쇠" not in blob
    assert SecretBox(tmp_path / "data" / "secret.key").decrypt(blob, "acme:freshdesk") == "열쇠-1"


def test_the_key_file_is_its_owners_alone_and_no_draft_of_it_is_left(tmp_path: Path) -> None:
    SecretBox(tmp_path / "secret.key").encrypt("x", "y")
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_servers_that_start_at_once_go_on_with_one_key(tmp_path: Path) -> None:
    boxes = [SecretBox(tmp_path / "secret.key") for _ in range(16)]
    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(lambda box: box.key_id, boxes))) == 1


def test_the_same_text_never_looks_the_same(tmp_path: Path) -> None:
    box = SecretBox(tmp_path / "secret.key")
    assert len({box.encrypt("same", "same") for _ in range(50)}) == 50


def test_a_blob_that_belongs_elsewhere_or_was_changed_cannot_be_read(tmp_path: Path) -> None:
    box = SecretBox(tmp_path / "secret.key")
    blob = box.encrypt("secret", "acme:freshdesk")
    with pytest.raises(Unavailable):
        box.decrypt(blob, "other:freshdesk")
    for place in range(len(blob) - 4):  # the last letters hold bits that base64 does not use
        changed = blob[:place] + ("A" if blob[place] != "A" else "B") + blob[place + 1 :]
        with pytest.raises(Unavailable):
            box.decrypt(changed, "acme:freshdesk")


@pytest.mark.parametrize("blob", ["", ".", "v1", "v1.", "v1..", "v2.a.b", "v1.x.é", "v1.x.====", "plain text"])
def test_what_is_no_blob_cannot_be_read(tmp_path: Path, blob: str) -> None:
    with pytest.raises(Unavailable):
        SecretBox(tmp_path / "secret.key").decrypt(blob, "x")


def test_an_old_key_still_reads_and_the_new_one_writes(tmp_path: Path) -> None:
    old, new = key(), key()
    before, after = SecretBox(tmp_path / "x", [old]), SecretBox(tmp_path / "x", [new, old])
    blob = before.encrypt("secret", "acme")
    assert after.decrypt(blob, "acme") == "secret"
    assert after.key_of(after.encrypt("secret", "acme")) == after.key_id != before.key_id == after.key_of(blob)
    assert after.digest("api-key", "installation") == before.digest("api-key", "installation")
    with pytest.raises(Unavailable):
        SecretBox(tmp_path / "x", [new]).decrypt(blob, "acme")
    assert not (tmp_path / "x").exists()


def test_a_digest_tells_texts_purposes_and_servers_apart(tmp_path: Path) -> None:
    box, another = SecretBox(tmp_path / "x", [key()]), SecretBox(tmp_path / "x", [key()])
    digests = {box.digest("a", "p"), box.digest("b", "p"), box.digest("a", "q"), another.digest("a", "p")}
    assert len(digests) == 4


def test_each_purpose_signs_with_a_key_of_its_own_and_all_keys_verify(tmp_path: Path) -> None:
    old, new = key(), key()
    box = SecretBox(tmp_path / "x", [new, old])
    name, signs = box.signing_key("access")
    assert box.verifying_keys("access")[name] == signs
    assert len(box.verifying_keys("access")) == 2
    assert signs not in box.verifying_keys("refresh").values()
    assert base64.b64decode(new.get_secret_value()) != signs


def test_the_key_of_the_file_may_move_into_the_settings(tmp_path: Path) -> None:
    blob = SecretBox(tmp_path / "secret.key").encrypt("secret", "acme")
    kept = SecretStr((tmp_path / "secret.key").read_text())
    assert SecretBox(tmp_path / "nothing", [key(), kept]).decrypt(blob, "acme") == "secret"


def test_a_broken_key_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("broken")
    with pytest.raises(Unavailable, match=r"secret\.key"):
        SecretBox(tmp_path / "secret.key").encrypt("x", "y")
    assert (tmp_path / "secret.key").read_text() == "broken"


@pytest.mark.parametrize("value", ["short", "x" * 42, "é" * 32, f"{base64.b64encode(bytes(32)).decode()},no"])
def test_a_wrong_key_stops_the_start_and_is_not_repeated(value: str) -> None:
    with pytest.raises(SettingError, match="SECRET_KEYS") as caught:
        load_settings(_env_file=None, secret_keys=value)
    assert value not in str(caught.value)


def test_several_keys_are_read_from_one_setting() -> None:
    first, second = key(), key()
    settings = load_settings(_env_file=None, secret_keys=f"{first.get_secret_value()}, {second.get_secret_value()}")
    assert settings.secret_keys == (first, second)
