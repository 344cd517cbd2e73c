"""Which addresses may be called.

`ipaddress.is_global` is no answer: it is true for NAT64 and 6to4 forms of private addresses, for
multicast and for the metadata services of some clouds. Hence a list of our own, from the IANA
special-purpose registries (RFC 6890) and the clouds' documentation.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

BLOCKED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",
        "::/8",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Public addresses are allowed, and those of the networks that the operator opens."""

    allow: tuple[Network, ...] = ()

    def permits(self, host: str) -> bool:
        """Tell whether an address may be called; raises ValueError for what is no address."""
        address = unwrapped(ip_address(host))
        if _within(address, self.allow):
            return True
        return not _within(address, BLOCKED)


def unwrapped(address: Address) -> Address:
    """Answer the IPv4 address that an IPv4-mapped one stands for, any other as it is."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
