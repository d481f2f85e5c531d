"""From where somebody asks, whatever they themselves say about it."""

import pytest
from django import conf
from django.test import RequestFactory

from accounts.origin import client_address, client_network


def address_of(remote: str, forwarded: str | None = None) -> str | None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return client_address(RequestFactory(headers=headers, REMOTE_ADDR=remote).get("/"))


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (None, "192.0.2.1"),
        ("", "192.0.2.1"),
        ("198.51.100.7", "198.51.100.7"),
        ("203.0.113.1, 198.51.100.7", "198.51.100.7"),
        (", 198.51.100.7", "198.51.100.7"),
        (" ,, 198.51.100.7", "198.51.100.7"),
        ("198.51.100.7, unknown", None),
    ],
)
def test_it_believes_what_the_one_proxy_has_added(
    monkeypatch: pytest.MonkeyPatch, forwarded: str | None, address: str | None
) -> None:
    monkeypatch.setitem(conf.settings.REST_FRAMEWORK, "NUM_PROXIES", 1)
    assert address_of("192.0.2.1", forwarded) == address


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("fe80::7%eth0", "fe80::7"),
        ("", None),
        ("desk", None),
    ],
)
def test_it_writes_one_address_in_one_way(remote: str, address: str | None) -> None:
    assert address_of(remote) == address


@pytest.mark.parametrize(
    ("remote", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        # Behind a socket of both families these are all the clients of the old one.
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:0:1:ffff::7", "2001:db8:0:1::/64"),
        ("", "unknown"),
    ],
)
def test_it_limits_what_somebody_cannot_leave(remote: str, network: str) -> None:
    assert client_network(RequestFactory(REMOTE_ADDR=remote).get("/")) == network
