"""Encryption of credentials."""

import base64
import os
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from rowlock_jobs.outcome import from_exception
from rowlock_web.vault.keys import KeyFileInvalid, generate_key
from rowlock_web.vault.vault import CredentialsUnreadable, Vault

OLD, NEW = generate_key(), generate_key()
CLEAR = "what only the site may see"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"{OLD}\n")
    return path


def replace(path: Path, *lines: str) -> None:
    """As Kubernetes does it: another file takes the name."""
    other = path.with_suffix(".new")
    other.write_text("\n".join(lines) + "\n")
    os.replace(other, path)


@pytest.mark.parametrize("text", ["", "geheim", "pässwörd 🔑", "x" * 100_000])
def test_what_is_encrypted_comes_back(keys: Path, text: str) -> None:
    vault = Vault.load(keys)
    token = vault.encrypt(text)
    assert vault.decrypt(token) == text
    assert vault.decrypt(memoryview(token)) == text
    assert vault.decrypt(token.decode()) == text
    assert len(text) < 6 or text.encode() not in token


def test_the_first_key_encrypts_and_all_open(keys: Path) -> None:
    before = Vault.load(keys).encrypt("geheim")
    replace(keys, "# since March", NEW, "", OLD)
    vault = Vault.load(keys)
    assert vault.decrypt(before) == "geheim"
    assert [vault.key_id(before), vault.key_id(vault.encrypt("x"))] == vault.key_ids()[::-1]
    assert Fernet(NEW).decrypt(vault.encrypt("neu")) == b"neu"


def test_rotation_needs_no_restart_and_ends_with_the_old_key_gone(keys: Path) -> None:
    vault = Vault.load(keys)
    token = vault.encrypt("geheim")
    replace(keys, NEW, OLD)
    rotated = vault.rotate(token)
    assert vault.key_id(rotated) == vault.key_ids()[0]
    replace(keys, NEW)
    assert vault.decrypt(rotated) == "geheim"
    with pytest.raises(CredentialsUnreadable):
        vault.decrypt(token)


def test_a_token_that_no_key_opens_says_what_to_do(keys: Path) -> None:
    vault = Vault.load(keys)
    token = Fernet(NEW).encrypt(b"geheim")
    for use in (vault.decrypt, vault.rotate, vault.key_id):
        with pytest.raises(
            CredentialsUnreadable, match="add the key they were encrypted with, or enter them again"
        ) as caught:
            use(token)
    assert (caught.value.reason, caught.value.permanent) == ("CredentialsUnreadable", True)


@pytest.mark.parametrize(
    "change", [slice(1, None), slice(None, -1)], ids=["first byte lost", "last byte lost"]
)
def test_damage_is_seen(keys: Path, change: slice) -> None:
    vault = Vault.load(keys)
    with pytest.raises(CredentialsUnreadable):
        vault.decrypt(vault.encrypt("geheim")[change])


@pytest.mark.parametrize("token", [b"", "", "ä", b"\xff\x00", b"Z0FBQUFB", "Z0FBQUFBé", "gAAAAA"])
def test_what_is_no_token_is_unreadable_and_no_crash(keys: Path, token: bytes | str) -> None:
    with pytest.raises(CredentialsUnreadable):
        Vault.load(keys).decrypt(token)


def test_values_of_the_old_system_are_read_and_rotation_makes_them_plain(keys: Path) -> None:
    """It wrapped each token in base64 once more, and stored text."""
    old_value = base64.urlsafe_b64encode(Fernet(OLD).encrypt("schüler@schule.ch".encode())).decode()
    vault = Vault.load(keys)
    assert vault.decrypt(old_value) == "schüler@schule.ch"
    assert vault.key_id(old_value) == vault.key_ids()[0]
    assert Fernet(OLD).decrypt(vault.rotate(old_value)).decode() == "schüler@schule.ch"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no key"),
        ("# nothing but words\n\n", "holds no key"),
        (f"{OLD}\n{NEW[:-4]}\n", "line 2 of the key file"),
        ("correct horse battery staple", "line 1 of the key file"),
        (f"{OLD} {NEW}", "line 1 of the key file"),
        (base64.urlsafe_b64encode(b"x" * 31).decode(), "line 1 of the key file"),
        ("schlüssel", "line 1 of the key file"),
    ],
    ids=["empty", "only comments", "cut key", "passphrase", "two on a line", "31 bytes", "not ASCII"],
)
def test_a_wrong_key_file_is_an_error_that_shows_no_line_and_makes_no_key(
    tmp_path: Path, content: str, says: str
) -> None:
    path = tmp_path / "keys"
    path.write_text(content)
    with pytest.raises(KeyFileInvalid, match=says) as caught:
        Vault.load(path)
    assert path.read_text() == content
    assert all(word not in str(caught.value) for word in content.split() if len(word) > 8)


def test_a_missing_key_file_is_an_error_and_stays_missing(tmp_path: Path) -> None:
    with pytest.raises(KeyFileInvalid, match="No such file or directory"):
        Vault.load(tmp_path / "keys")
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_that_becomes_unusable_stops_the_vault_until_it_is_right_again(keys: Path) -> None:
    vault = Vault.load(keys)
    token = vault.encrypt("geheim")
    replace(keys, "oops")
    for _ in range(2):
        with pytest.raises(KeyFileInvalid):
            vault.encrypt("neu")
    replace(keys, OLD)
    assert vault.decrypt(token) == "geheim"


def test_neither_keys_nor_clear_texts_are_shown(keys: Path) -> None:
    vault = Vault.load(keys)
    shown = [repr(vault), repr(vault.__dict__), *vault.key_ids()]
    replace(keys, OLD, "broken " + NEW)
    for use in (lambda: vault.encrypt(CLEAR), lambda: Vault.load(keys)):
        with pytest.raises(KeyFileInvalid) as caught:
            use()
        shown.append(str(from_exception(caught.value)))
    replace(keys, NEW)
    with pytest.raises(CredentialsUnreadable) as unreadable:
        vault.decrypt(Fernet(OLD).encrypt(CLEAR.encode()))
    shown.append(str(from_exception(unreadable.value)))
    for secret in (OLD, NEW, OLD[:10], NEW[:10], CLEAR):
        assert secret not in "\n".join(shown)
