"""Which addresses may be called."""

# ruff: noqa: S104 - nothing is bound to these addresses

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.egress import BLOCKED, EgressPolicy

DENIED = [
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.0.0.7",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::127.0.0.1",
    "::10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:7f00:1",
    "::ffff:168.63.129.16",
    "64:ff9b::7f00:1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "3fff::1",
    "3fff:fff:ffff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff::1",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "fec0::1",
    "feff::1",
    "ff00::1",
    "ff02::1",
    "ff05::1:3",
    "ffff::1",
]

ALLOWED = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.1",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.101.0",
    "203.0.114.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2400:cb00::1",
    "2606:4700::1111",
    "2a00:1450:4001:81b::200e",
    "3ffe:ffff::1",
    "4000::1",
]


@pytest.mark.parametrize("address", DENIED)
def test_private_and_reserved_addresses_are_denied(address: str) -> None:
    """Nothing inside, nothing reserved, and no IPv4 address in the clothes of an IPv6 one."""
    assert not EgressPolicy().permits(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_public_addresses_are_allowed(address: str) -> None:
    """Their neighbours are public."""
    assert EgressPolicy().permits(address)


@pytest.mark.parametrize(
    ("address", "permitted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("10.2.0.1", False),
        ("127.0.0.1", False),
        ("fd00::1", True),
        ("fd01::1", False),
        ("8.8.8.8", True),
    ],
)
def test_an_operator_opens_networks(address: str, permitted: bool) -> None:  # noqa: FBT001
    """Exactly the networks on the operator's list are opened."""
    policy = EgressPolicy((ip_network("10.1.0.0/16"), ip_network("fd00::/16")))
    assert policy.permits(address) is permitted


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f000001", "①②⑦.⓪.⓪.①", "[::1]"])
def test_what_is_no_address_is_an_error(text: str) -> None:
    """Names and other spellings never reach the policy; if one does, it is not permitted."""
    with pytest.raises(ValueError, match="address"):
        EgressPolicy().permits(text)


@given(st.sampled_from(BLOCKED), st.data())
def test_every_address_of_a_blocked_network_is_denied(network: object, data: st.DataObject) -> None:
    """There is no hole in a blocked network."""
    assert not isinstance(network, str)
    low, high = int(network[0]), int(network[-1])  # type: ignore[index]
    kind = type(network[0])  # type: ignore[index]
    address = kind(data.draw(st.integers(low, high)))
    unwrapped = getattr(address, "ipv4_mapped", None) or address
    denied = any(unwrapped in other for other in BLOCKED if other.version == unwrapped.version)
    assert EgressPolicy().permits(str(address)) is not denied


@given(st.ip_addresses())
def test_a_mapped_address_is_judged_as_the_one_inside(address: object) -> None:
    """`::ffff:a.b.c.d` is `a.b.c.d`."""
    if getattr(address, "version", 6) == 4:
        mapped = ip_address(f"::ffff:{address}")
        policy = EgressPolicy()
        assert policy.permits(str(mapped)) is policy.permits(str(address))
