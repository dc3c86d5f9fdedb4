"""Which addresses a request may go to."""

import ipaddress

import pytest

from rowlock_jobs.task import SiteError
from rowlock_web.fetch.addresses import AddressRefused, checked_addresses, refusal


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::6810:84e5", "64:ff9b::5db8:d822"])
def test_public_addresses_are_open(address: str) -> None:
    assert refusal(ipaddress.ip_address(address), allow_private=False) is None


PRIVATE = [
    "10.0.0.1",
    "192.168.1.5",
    "172.16.3.4",
    "127.0.0.1",
    "100.64.0.1",
    "::1",
    "fd00::1",
    "::ffff:10.0.0.1",
    "2002:a00:1::1",
    "64:ff9b::a00:1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_open_only_where_they_are_allowed(address: str) -> None:
    assert "allow_private" in (refusal(ipaddress.ip_address(address), allow_private=False) or "")
    assert refusal(ipaddress.ip_address(address), allow_private=True) is None


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
    ],
)
def test_a_metadata_service_is_never_reached(address: str) -> None:
    assert refusal(ipaddress.ip_address(address), allow_private=True)


def test_a_name_that_leads_home_is_refused_with_the_address_and_the_remedy() -> None:
    with pytest.raises(
        AddressRefused, match=r"'localhost' leads to (127\.0\.0\.1|::1), a private address: allow private"
    ) as caught:
        checked_addresses("localhost", 80, allow_private=False)
    assert (caught.value.reason, caught.value.permanent) == ("AddressRefused", True)


def test_the_addresses_that_were_checked_are_handed_out() -> None:
    assert "127.0.0.1" in checked_addresses("localhost", 80, allow_private=True)
    assert checked_addresses("0x7f.1", 80, allow_private=True) == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433"])
def test_other_spellings_of_an_address_are_seen_through(host: str) -> None:
    with pytest.raises(AddressRefused):
        checked_addresses(host, 80, allow_private=False)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 300, "a..b"])
def test_a_name_without_address_is_tried_again_later(host: str) -> None:
    with pytest.raises(SiteError) as caught:
        checked_addresses(host, 80, allow_private=True)
    assert (caught.value.reason, caught.value.permanent) == ("HostUnknown", False)
