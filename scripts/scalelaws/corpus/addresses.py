"""Which addresses a crawl may reach: no way leads into the user's own network."""

import ipaddress
import socket
from collections.abc import Callable, Collection, Mapping

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

TRANSLATED = [ipaddress.IPv6Network(network) for network in ("::/96", "64:ff9b::/96")]
"""Networks whose addresses end in an IPv4 address: IPv4-compatible, and NAT64."""
OWN_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
"""Addresses that a network translates as it likes."""


class RefusedAddressError(OSError):
    """The host's address is private, loopback or otherwise not on the public internet."""


def within_hosts(host: str, hosts: Collection[str]) -> bool:
    """Whether a host is one of `hosts` (lower case) or below one of them, as www.example.org is below example.org."""
    parts = host.lower().split(".")
    return any(".".join(parts[start:]) in hosts for start in range(len(parts)))


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet."""
    ip = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped:
            return is_public(str(ip.ipv4_mapped))
        if ip.is_site_local or ip in OWN_NAT64 or not all(map(is_public, _behind(ip))):
            return False
    return ip.is_global and not ip.is_multicast


def _behind(ip: ipaddress.IPv6Address) -> list[str]:
    """The IPv4 addresses that a gateway would send this one on to: IPv4-compatible or NAT64, 6to4, Teredo."""
    last = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if any(ip in network for network in TRANSLATED) else None
    found = (last, ip.sixtofour, ip.teredo[1] if ip.teredo else None)
    return [str(address) for address in found if address is not None]


class KnownHosts(AbstractResolver):
    """Resolves names with the system, except those in `known`: name -> (IP address, port).

    This is how the embedded site keeps its URLs whatever port it is served on.
    """

    def __init__(self, known: Mapping[str, tuple[str, int]]) -> None:
        self.known = known
        self._system = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host."""
        if host not in self.known:
            return await self._system.resolve(host, port, family)
        address, port = self.known[host]
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        entry = ResolveResult(
            hostname=host, host=address, port=port, family=socket.AF_INET, proto=socket.IPPROTO_TCP, flags=numeric
        )
        return [entry]

    async def close(self) -> None:
        """Release the system's resolver."""
        await self._system.close()


def public_socket(known: Mapping[str, tuple[str, int]]) -> Callable[[AddrInfoType], socket.socket]:
    """A maker of sockets that raises RefusedAddressError for an address that is neither public nor one of `known`.

    Every connection passes here, so neither a link, a redirect, a robots.txt nor a DNS answer leads inside.
    """
    allowed = set(known.values())

    def make(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if (address[0], address[1]) not in allowed and not is_public(str(address[0])):
            raise RefusedAddressError("not a public address")
        return socket.socket(family=family, type=kind, proto=protocol)

    return make
