"""Where a forward proxy may go: by name, then by the address that is dialled."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.intermediary.access import Access, Place, literal, parse_rule, place_of, plain_host, read_ports

PUBLIC = "151.101.1.6"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "::1", "10.0.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
        "169.254.169.254", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "0.0.0.0", "::",
        "0.1.2.3", "255.255.255.255", "224.0.0.1", "240.0.0.1", "ff02::1", "192.0.2.1", "2001:db8::1",
        "168.63.129.16", "198.18.0.1", "64:ff9b:1::1",
    ],
)  # fmt: skip
def test_only_public_addresses_are_dialled_unless_told_otherwise(address: str) -> None:
    access = Access()
    assert not access.permits("example.com", address)
    assert not access.permits(address, address)
    assert not access.may_ask(address)


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "172.32.0.1", "192.169.0.1", "2606:4700::1", "2a00::1"]
)
def test_public_addresses_are_dialled(address: str) -> None:
    assert Access().permits("example.com", address)
    assert Access().may_ask(address)


@pytest.mark.parametrize("outer", ["::ffff:{}", "::{}", "64:ff9b::{}"])
@pytest.mark.parametrize("inner", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0"])
def test_an_ipv4_address_in_the_clothes_of_ipv6_is_judged_as_what_it_is(outer: str, inner: str) -> None:
    address = outer.format(inner)
    assert not Access().permits("example.com", address)
    if address not in ("::0.0.0.0", "::0.0.0.1"):
        assert Access(allow=[f"{inner}/32"]).permits("example.com", address)


def test_a_6to4_address_is_judged_by_the_ipv4_address_in_it() -> None:
    assert not Access().permits("example.com", "2002:7f00:1::1")
    assert Access().permits("example.com", "2002:9765:106::1")


@given(st.ip_addresses(v=4))
def test_every_mapped_address_is_of_the_place_of_its_ipv4_address(address: ipaddress.IPv4Address) -> None:
    mapped = literal(f"::ffff:{address}")
    assert mapped == address
    assert place_of(address) in Place


@given(st.ip_addresses())
def test_what_python_calls_loopback_link_local_or_multicast_is_never_public(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        assert not Access().permits("example.com", str(address))


def test_what_is_no_address_is_not_dialled() -> None:
    assert not Access(allow=["*"]).permits("example.com", "example.com")


@pytest.mark.parametrize(
    ("allow", "deny", "host", "address", "permitted"),
    [
        (["intranet.test"], [], "intranet.test", "10.0.0.1", True),
        (["intranet.test"], [], "intranet.test", "127.0.0.1", True),
        (["intranet.test"], [], "intranet.test", "169.254.169.254", False),
        (["intranet.test"], [], "www.intranet.test", "10.0.0.1", False),
        ([".intranet.test"], [], "www.intranet.test", "10.0.0.1", True),
        ([".intranet.test"], [], "intranet.test", "10.0.0.1", True),
        ([".intranet.test"], [], "notintranet.test", "10.0.0.1", False),
        ([".intranet.test"], [], "www.intranet.test", "127.0.0.1", False),
        (["localhost"], [], "localhost", "::1", True),
        (["10.0.0.0/8"], [], "any.test", "10.9.9.9", True),
        (["10.0.0.0/8"], ["10.9.0.0/16"], "any.test", "10.9.9.9", False),
        (["10.9.9.9"], ["10.0.0.0/8"], "any.test", "10.9.9.9", True),
        (["10.9.9.9"], ["10.9.9.9/32"], "any.test", "10.9.9.9", False),
        (["169.254.169.254"], [], "any.test", "169.254.169.254", True),
        (["10.0.0.0/8"], ["bad.test"], "bad.test", "10.9.9.9", False),
        (["good.test"], ["10.0.0.0/8"], "good.test", "10.9.9.9", False),
        ([], ["bad.test"], "bad.test", PUBLIC, False),
        ([], [".bad.test"], "very.bad.test", PUBLIC, False),
        (["good.bad.test"], [".bad.test"], "good.bad.test", PUBLIC, True),
        ([".good.bad.test"], [".bad.test"], "www.good.bad.test", PUBLIC, True),
        (["a.test"], ["a.test"], "a.test", PUBLIC, False),
        ([], ["*"], "any.test", PUBLIC, False),
        (["good.test"], ["*"], "good.test", PUBLIC, True),
        (["151.101.0.0/16"], ["*"], "any.test", PUBLIC, True),
        (["*"], [], "any.test", "127.0.0.1", True),
        (["*", "x.test"], [], "x.test", "169.254.0.1", True),
        (["*"], ["169.254.0.0/16"], "any.test", "169.254.169.254", False),
        (["*"], ["*"], "any.test", PUBLIC, False),
    ],
)
def test_the_narrowest_rule_decides_and_of_two_equal_ones_deny(
    allow: list[str], deny: list[str], host: str, address: str, permitted: bool
) -> None:
    assert Access(allow, deny).permits(host, address) is permitted


@pytest.mark.parametrize(
    ("allow", "deny", "host", "may"),
    [
        ([], [], "any.test", True),
        ([], [".test"], "any.test", False),
        ([], ["test"], "test.", False),  # the dot of the root is no way round a rule
        ([], ["*"], "any.test", False),
        (["any.test"], ["*"], "any.test", True),
        (["10.0.0.0/8"], ["*"], "any.test", True),  # only its address will tell
        ([], ["10.0.0.0/8"], "10.1.1.1", False),
        (["10.0.0.0/8"], [], "10.1.1.1", True),
    ],
)
def test_a_name_is_refused_before_it_is_looked_up_where_its_address_can_change_nothing(
    allow: list[str], deny: list[str], host: str, may: bool
) -> None:
    assert Access(allow, deny).may_ask(host) is may


@pytest.mark.parametrize(
    "text",
    ["", ".", "10.0.0.1/8", "*.test", "http://a.test", "a.test:80", "a b", "127.1", "0x7f000001", "a..b"],
)
def test_what_is_no_rule_says_so(text: str) -> None:
    with pytest.raises(ValueError, match="expected, got"):
        parse_rule(text)


def test_rules_are_read_whatever_their_case_and_script() -> None:
    assert parse_rule("[::1]").network == ipaddress.ip_network("::1/128")
    assert parse_rule(".Example.COM").name == "example.com"
    assert parse_rule("bücher.test").name == "xn--bcher-kva.test"


@pytest.mark.parametrize(
    "host",
    ["2130706433", "127.1", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1.", "a.0x7f", "1.2.3.4.5",
     "[127.0.0.1", "[v1.a]", "ev%69l.test", "a..b", "-a.test", "", "a!b", "x" * 64 + ".test"],
)  # fmt: skip
def test_an_address_in_disguise_and_what_is_no_name_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"is neither a host name nor an address|is no IPv6 address"):
        plain_host(host)


@pytest.mark.parametrize(
    ("host", "plain"),
    [
        ("Example.COM", "example.com"),
        ("[::1]", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("a_b.test.", "a_b.test."),
    ],
)
def test_a_host_is_judged_in_lower_case_and_without_brackets(host: str, plain: str) -> None:
    assert plain_host(host) == plain


def test_ports_are_numbers_ranges_or_any() -> None:
    assert read_ports(["443"]) == frozenset([443])
    assert read_ports(["443,8443", "9000-9002"]) == frozenset([443, 8443, 9000, 9001, 9002])
    assert read_ports(["443", "any"]) is None
    for wrong in ("0", "65536", "https", "", "9-8", "1-2-3"):
        with pytest.raises(ValueError, match="a port such as 443"):
            read_ports([wrong])


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("64:ff9b::/96", "64:ff9b::808:808"),
        ("2002::/16", "2002:808:808::1"),
        ("::ffff:0:0/96", "::ffff:8.8.8.8"),
        ("::/0", "::ffff:8.8.8.8"),
    ],
)
def test_a_network_of_translated_addresses_may_be_denied_as_it_is_written(network: str, address: str) -> None:
    assert Access().permits("example.com", address)
    for access in Access(deny=[network]), Access(allow=["*", "8.0.0.0/8"], deny=[network]):
        assert not access.permits("example.com", address)
        assert not access.may_ask(address)
        assert access.permits("example.com", "8.8.8.8")
