"""Addresses: what is equal compares equal, what is none is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.protocols.xmpp.jid import Jid, JidSyntaxError, parse_jid, parse_jid_bytes


@pytest.mark.spec("RFC 7622 §3.5")
@pytest.mark.parametrize(
    ("text", "local", "domain", "resource"),
    [
        ("juliet@example.com", "juliet", "example.com", ""),
        ("juliet@example.com/foo", "juliet", "example.com", "foo"),
        ("juliet@example.com/foo bar", "juliet", "example.com", "foo bar"),
        ("juliet@example.com/foo@bar", "juliet", "example.com", "foo@bar"),
        ("foo\\20bar@example.com", "foo\\20bar", "example.com", ""),
        ("fussball@example.com", "fussball", "example.com", ""),
        ("π@example.com", "π", "example.com", ""),
        ("Σ@example.com/foo", "σ", "example.com", "foo"),
        ("king@example.com/♚", "king", "example.com", "♚"),
        ("example.com", "", "example.com", ""),
        ("example.com/foobar", "", "example.com", "foobar"),
        ("a.example.com/b@example.net", "", "a.example.com", "b@example.net"),
        ("Alice@EXAMPLE.com./Home", "alice", "example.com", "Home"),
        ("a@[::1]/x", "a", "[::1]", "x"),
        ("a@127.0.0.1", "a", "127.0.0.1", ""),
        ("a@BÜCHER.example", "a", "bücher.example", ""),
        ("♚@example.com", "♚", "example.com", ""),
    ],
)
def test_an_address_is_taken_apart_and_prepared(text: str, local: str, domain: str, resource: str) -> None:
    assert parse_jid(text) == Jid(local, domain, resource)


@pytest.mark.spec("RFC 7622 §3.5")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "@example.com",
        "a@",
        "a@b/",
        "a@@b",
        '"juliet"@example.com',
        "foo bar@example.com",
        "foo\u3000bar@example.com",
        "a@b c",
        "a'@b",
        "a@b/\x00",
        "a@[::zz]",
        "a@\u200b\u2060",
        "a" * 1024 + "@b",
        "a@b/" + "é" * 600,
        "\u0627a@b",
        "a@b..c",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(JidSyntaxError):
        parse_jid(text)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_refused_and_preparing_twice_changes_nothing(text: str) -> None:
    try:
        jid = parse_jid(text)
    except JidSyntaxError:
        return

    assert parse_jid(str(jid)) == jid


def test_an_address_can_lose_its_resource() -> None:
    jid = parse_jid_bytes(b"a@b/c")

    assert str(jid.bare) == "a@b"
    assert str(Jid("", "b")) == "b"
