"""Which addresses a request to a host that a user named may go to. A name is looked up once; who connects
uses the answer given here.
"""

import ipaddress
import socket

from rowlock_jobs.task import Permanent, SiteError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# An IPv4 address may hide in these IPv6 ones: NAT64 and the old "compatible" form.
_EMBEDDING = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))


class AddressRefused(Permanent):
    """The host leads to an address that this request may not reach; trying again changes nothing."""


def checked_addresses(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of `host`, in the order to try them; connect to these and never look the name up again,
    or a second answer slips through.

    One refused address refuses the host. AddressRefused; SiteError HostUnknown where the name has no address
    at the moment.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise SiteError(
            "HostUnknown", f"the name {host!r} has no address; check its spelling and the cluster's DNS"
        ) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        why = refusal(ipaddress.ip_address(address), allow_private=allow_private)
        if why:
            raise AddressRefused(f"{host!r} leads to {address}, {why}")
    return addresses


def refusal(address: Address, *, allow_private: bool) -> str | None:
    """Why a request may not go to this address, as the end of a sentence; None where it may.

    Link-local addresses are refused always: a cloud's metadata service, with the node's credentials, listens
    there.
    """
    plain = _unwrapped(address)
    if plain.is_link_local or plain.is_multicast or plain.is_unspecified:
        return "a link-local, multicast or unspecified address: none of these is ever a service to talk to"
    if plain.is_global or allow_private:
        return None
    return (
        "a private address: allow private addresses (allow_private) if that service is meant, or correct the"
        " name"
    )


def _unwrapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and any(address in network for network in _EMBEDDING) and int(address) > 1:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address
