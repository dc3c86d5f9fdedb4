"""The text of a key file, and which containers have it mounted: pure."""

import base64
import subprocess
from pathlib import Path
from types import SimpleNamespace as Thing
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from rowlock_cli.commands.credentials.key_file import (
    added,
    digest,
    fingerprint,
    keys_of,
    moved_first,
    new_key,
)
from rowlock_cli.commands.credentials.key_mounts import Mount, mounts_of, secret_of
from rowlock_cli.errors import Failed
from rowlock_web.vault.keys import read_keys


def test_a_new_key_is_a_fernet_key_and_has_the_fingerprint_that_workers_tell(tmp_path: Path) -> None:
    key = new_key()
    (tmp_path / "keys").write_text(f"# ours\n\n{key}\n")
    assert Fernet(key).decrypt(Fernet(key).encrypt(b"x")) == b"x"
    assert [found.id for found in read_keys(tmp_path / "keys")] == [fingerprint(key)]


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=4, unique=True), st.booleans())
def test_a_key_is_added_last_and_moved_first_and_no_other_is_lost(raw: list[bytes], comment: bool) -> None:
    old = [base64.urlsafe_b64encode(each).decode() for each in raw]
    text = ("# kept\n" if comment else "") + "\n".join(old)
    key = new_key()
    second = added(text, key)
    assert keys_of(second) == [*old, key]
    third = moved_first(second, key)
    assert keys_of(third) == [key, *old]
    assert ("# kept" in third) is comment
    assert moved_first(third, key) == third, "done twice it is the same"


@pytest.mark.parametrize(
    ("text", "said"),
    [("x\n", "line 1 is no key"), (new_key() + "\nshort\n", "line 2 is no key"), ("#\n", "holds no key")],
    ids=["first line", "second line", "none"],
)
def test_what_is_no_key_is_named_by_its_line_and_not_shown(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        keys_of(text)
    assert "short" not in str(refused.value)


def test_the_digest_is_what_sha256sum_prints(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("grüße\n")
    printed = subprocess.run(
        ["sha256sum", tmp_path / "keys"], capture_output=True, text=True, check=True
    ).stdout
    assert printed.partition(" ")[0] == digest("grüße\n")


def pod(
    name: str,
    *mounts: Thing,
    running: bool = True,
    items: list[Any] | None = None,
    env: list[Any] | None = None,
) -> Thing:
    volume = Thing(name="keys", secret=Thing(secret_name="ours", items=items))
    state = Thing(running=Thing() if running else None)
    return Thing(
        metadata=Thing(name=name),
        spec=Thing(
            containers=[Thing(name="main", env=env, volume_mounts=list(mounts))],
            volumes=[volume, Thing(name="tmp", secret=None)],
        ),
        status=Thing(container_statuses=[Thing(name="main", state=state)]),
    )


def at(path: str, name: str = "keys", sub_path: str | None = None) -> Thing:
    return Thing(name=name, mount_path=path, sub_path=sub_path)


def test_key_files_are_found_wherever_they_are_mounted() -> None:
    pods = [
        pod("b", at("/var/run/encryption"), at("/tmp", "tmp")),
        pod("a", at("/keys/"), items=[Thing(key="other", path="x"), Thing(key="keys", path="ring")]),
        pod("c", at("/one/file", sub_path="keys")),
        pod("starting", at("/keys"), running=False),
        pod("elsewhere", at("/tmp", "tmp")),
        Thing(
            metadata=Thing(name="new"),
            spec=Thing(containers=[], volumes=None),
            status=Thing(container_statuses=None),
        ),
    ]
    assert mounts_of(pods, "ours") == [
        Mount("a", "main", "/keys/ring"),
        Mount("b", "main", "/var/run/encryption/keys"),
        Mount("c", "main", "/one/file"),
    ]
    assert mounts_of(pods, "another") == []


def test_the_secret_is_the_one_the_operator_has_mounted() -> None:
    env = [
        Thing(name="POD_NAME", value=None),
        Thing(name="ROWLOCK_ENCRYPTION_KEYS_FILE", value="/var/run/encryption/keys"),
    ]
    assert secret_of(pod("operator", at("/var/run/encryption"), env=env), "demo") == "ours"
    for without in (pod("operator", at("/var/run/encryption")), pod("operator", at("/elsewhere"), env=env)):
        with pytest.raises(Failed, match=r"domain\.monitoring\.enabled=true"):
            secret_of(without, "demo")
