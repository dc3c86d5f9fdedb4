"""NOTICE names what the images ship, and the operator's image stays small."""

import pytest

from tools import packages


def test_notice_is_that_of_the_lock_files() -> None:
    assert (packages.ROOT / "NOTICE").read_text(encoding="utf-8") == packages.notice()


@pytest.mark.parametrize("lock", packages.LOCKS.values())
def test_nothing_that_ships_is_under_a_licence_that_binds_its_user(lock: str) -> None:
    """psycopg2's LGPL binds changes of psycopg2 alone, and has exceptions for what links to it."""
    bound = {name for name in packages.locked(lock) if "GPL" in packages.licence(name)}
    assert bound == {"psycopg2-binary"}


def test_the_operators_image_installs_sixty_megabytes_of_packages_at_most() -> None:
    assert 30 < packages.megabytes("operator") <= 60
