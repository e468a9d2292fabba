"""RFC 6121: messages between accounts, offline delivery, roster and subscriptions, presence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.xmpp import XmppServer, server_in


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet", "nurse")


@pytest.mark.spec("RFC 6121 §8.5.2.1.1")
def test_a_message_to_a_bare_address_reaches_the_available_resources(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    balcony, chamber = server.log_in("juliet", "balcony"), server.log_in("juliet", "chamber")
    absent = server.log_in("juliet", "absent", presence="")
    negative = server.log_in("juliet", "negative", presence="<presence><priority>-1</priority></presence>")
    for peer in (balcony, chamber, negative):
        peer.hear()

    romeo.say("<message to='juliet@localhost' type='chat' id='m1'><body>Art thou?</body></message>")

    for peer in (balcony, chamber):
        (message,) = peer.hear()
        assert message.child_text("body") == "Art thou?"
        assert message.get("from") == romeo.jid
        assert message.get("to") == peer.jid
        assert message.get("id") == "m1"
    assert absent.hear() == negative.hear() == romeo.hear() == []
