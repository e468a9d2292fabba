"""Our toolkit and slixmpp-omemo, which other people's clients are made of, read each other's secrets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.interop.conftest import RunningServer
from tests.interop.test_client_toolkit import Person
from tests.interop.test_omemo import NEW, OLD, Memory, Secretive, is_secret

from sabir.client.encryption import envelope
from sabir.client.encryption.omemo import Trust
from sabir.client.model import Encryption

# The library still asks slixmpp for plugins as older versions wanted it.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing plugins through:DeprecationWarning")

TIMEOUT_S = 60
SECURED = {OLD: Encryption.OMEMO_LEGACY, NEW: Encryption.OMEMO}


def enveloped(text: str, sender: str, to: str) -> str:
    """Return what is encrypted for a text (XEP-0384 §4.3 wants XEP-0420, which slixmpp does not have)."""
    body = ElementTree.Element("{jabber:client}body")
    body.text = text
    return envelope.pack([body], sender, to, datetime.now(UTC)).decode()


@pytest.mark.parametrize(("namespace", "name"), [(OLD, "tybalt"), (NEW, "rosaline")])
@pytest.mark.spec("XEP-0384 §5.5")
def test_both_read_each_other(running: RunningServer, tmp_path: Path, namespace: str, name: str) -> None:
    async def main() -> None:
        paris = Person(running, "paris", tmp_path)
        other = Secretive(running, name, "square", Memory())
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await paris.begin()
                await other.begin()
                await other.omemo.get_session_manager()
                for number in range(3):
                    secret = f"peace? {number}"
                    if namespace == NEW:
                        secret = enveloped(secret, other.boundjid.bare, paris.client.jid)
                    await other.say_secretly(namespace, paris.client.jid, secret)
                    heard = await paris.hears(lambda one: not one.mine)
                    assert (heard.text, heard.encryption) == (f"peace? {number}", SECURED[namespace])
                    # Who was told a secret answers in secret.
                    paris.client.say(other.boundjid.bare, f"I hate the word {number}")
                    stanza = await other.next_message(is_secret)
                    assert f"I hate the word {number}" in await other.read_secret(stanza)
        finally:
            await paris.end()
            await other.disconnect()

    asyncio.run(main())


def test_a_device_that_is_distrusted_reads_nothing_more(running: RunningServer, tmp_path: Path) -> None:
    async def main() -> None:
        paris, nurse = Person(running, "paris", tmp_path), Person(running, "nurse", tmp_path)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await paris.begin()
                await nurse.begin()
                await paris.client.encrypt(nurse.client.jid, Encryption.OMEMO)
                paris.client.say(nurse.client.jid, "Monday, my lord")
                heard = await nurse.hears(lambda one: not one.mine)
                assert heard.text == "Monday, my lord"
                for device in await paris.client.devices(nurse.client.jid):
                    if device.jid == nurse.client.jid:
                        await paris.client.judge(device, Trust.DISTRUSTED)
                failed = paris.client.say(nurse.client.jid, "O' Thursday let it be")
                change = await paris.told_of_failure()
                assert "no device" in change.text
                assert paris.archive.message(failed.number).standing.name == "FAILED"
                assert nurse.archive.find(paris.client.jid, failed.origin_id) is None
        finally:
            await paris.end()
            await nurse.end()

    asyncio.run(main())
