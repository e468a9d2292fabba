"""Two clients of the OMEMO library by its makers: keys through nodes, one of the two offline at first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, ClassVar
from xml.etree import ElementTree

import pytest
import twomemo.etree
from omemo.storage import Just, Maybe, Nothing, Storage
from slixmpp.plugins import register_plugin
from slixmpp_omemo import XEP_0384, TrustLevel
from tests.interop.conftest import RunningServer
from tests.interop.test_xmpp_slixmpp import Client

# The library still asks slixmpp for plugins as older versions wanted it.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing plugins through:DeprecationWarning")

TIMEOUT_S = 60
OLD, NEW = "eu.siacs.conversations.axolotl", "urn:xmpp:omemo:2"
# People of their own: what is left for their devices is for no other test.
SECRET = "Wherefore art thou Romeo?"


class Memory(Storage):
    """Keys of one device, as long as the test lasts."""

    def __init__(self) -> None:
        super().__init__(disable_cache=True)
        self.kept: dict[str, Any] = {}

    async def _load(self, key: str) -> Maybe[Any]:
        return Just(self.kept[key]) if key in self.kept else Nothing()

    async def _store(self, key: str, value: Any) -> None:
        self.kept[key] = value

    async def _delete(self, key: str) -> None:
        self.kept.pop(key, None)


class Omemo(XEP_0384):  # type: ignore[misc]  # slixmpp has no types
    """The plugin, which trusts whom it meets."""

    name = "xep_0384"
    default_config: ClassVar[dict[str, Any]] = {**XEP_0384.default_config, "memory": None}

    @property
    def storage(self) -> Storage:
        return self.memory  # type: ignore[no-any-return]  # from the configuration

    @property
    def _btbv_enabled(self) -> bool:
        return True

    async def _prompt_manual_trust(self, manually_trusted: Any, identifier: str | None) -> None:
        manager = await self.get_session_manager()
        for device in manually_trusted:
            await manager.set_trust(device.bare_jid, device.identity_key, TrustLevel.TRUSTED.value)


register_plugin(Omemo)


class Secretive(Client):
    """A client with OMEMO; `memory` is its device."""

    def __init__(self, running: RunningServer, name: str, resource: str, memory: Memory) -> None:
        super().__init__(running, name, resource)
        self.register_plugin("xep_0163")
        self.register_plugin("xep_0334")
        self.register_plugin("xep_0380")
        self.register_plugin("xep_0384", {"memory": memory}, module=__import__(__name__, fromlist=["Omemo"]))

    @property
    def omemo(self) -> Omemo:
        return self.plugin["xep_0384"]

    async def say_secretly(self, namespace: str, to: str, text: str) -> None:
        """Encrypt by one version of the protocol, and send."""
        if namespace == OLD:
            plain = self.make_message(mto=to, mtype="chat", mbody=text)
            plain["id"] = self.new_id()
            encrypted, errors = await self.omemo.encrypt_message(plain, self.jid_of(to))
            assert encrypted is not None
            assert not errors
            encrypted.send()
            return
        manager = await self.omemo.get_session_manager()
        await self.omemo.refresh_device_lists({self.jid_of(to)}, force_download=True)
        messages, errors = await manager.encrypt(frozenset({to}), {NEW: text.encode()}, [NEW])
        assert not errors
        (message,) = messages
        stanza = self.make_message(mto=to, mtype="chat", mbody="This is encrypted.")
        stanza.append(twomemo.etree.serialize_message(message))
        stanza.send()

    def jid_of(self, address: str) -> Any:
        return type(self.boundjid)(address)

    async def read_secret(self, stanza: Any) -> str:
        """Decrypt a message of either version."""
        element = stanza.xml.find(f"{{{NEW}}}encrypted")
        if element is None:
            message, _ = await self.omemo.decrypt_message(stanza)
            return str(message["body"])
        manager = await self.omemo.get_session_manager()
        parsed = twomemo.etree.parse_message(element, stanza["from"].bare)
        plaintext, _, _ = await manager.decrypt(parsed)
        assert plaintext is not None
        return plaintext.decode()


def is_secret(stanza: Any) -> bool:
    """Return whether a message has a text; those that only exchange keys have none."""
    return any(child.tag.endswith("}payload") for child in stanza.xml.iter())


def secret_from(sender: Client) -> Callable[[Any], bool]:
    """Return what finds a message of this very device: others are left from earlier tests."""
    return lambda stanza: is_secret(stanza) and stanza["from"] == sender.boundjid


async def ready(client: Secretive) -> None:
    """Log in, and wait until the keys are published."""
    published: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    client.add_event_handler(
        "omemo_initialized", lambda event: published.done() or published.set_result(event)
    )
    await client.begin()
    await published


@pytest.mark.spec("XEP-0384")
@pytest.mark.parametrize("namespace", [OLD, NEW])
def test_a_message_for_somebody_offline_is_decrypted_after_the_login(
    running: RunningServer, namespace: str
) -> None:
    async def main() -> None:
        hers, his = Memory(), Memory()
        resource = f"device{time.monotonic_ns()}"
        async with asyncio.timeout(TIMEOUT_S):
            rosaline = Secretive(running, "rosaline", resource, hers)
            await ready(rosaline)
            address = rosaline.boundjid.bare
            await rosaline.disconnect()
            benvolio = Secretive(running, "benvolio", resource, his)
            await ready(benvolio)

            await benvolio.say_secretly(namespace, address, SECRET)
            await benvolio.plugin["xep_0030"].get_info(
                jid=benvolio.boundjid.bare
            )  # answered after it is stored

            rosaline = Secretive(running, "rosaline", resource, hers)
            await ready(rosaline)
            heard = await rosaline.next_message(secret_from(benvolio))
            assert SECRET not in ElementTree.tostring(heard.xml, encoding="unicode")
            assert heard["delay"]["stamp"]
            assert await rosaline.read_secret(heard) == SECRET

            await rosaline.say_secretly(namespace, benvolio.boundjid.bare, "By the orchard wall.")
            answer = await benvolio.next_message(secret_from(rosaline))
            assert await benvolio.read_secret(answer) == "By the orchard wall."
            await asyncio.gather(benvolio.disconnect(), rosaline.disconnect())

    asyncio.run(main())


@pytest.mark.spec("XEP-0384")
def test_a_second_device_reads_what_is_sent_after_its_keys_are_known_and_finds_it_in_the_archive(
    running: RunningServer,
) -> None:
    async def main() -> None:
        async with asyncio.timeout(TIMEOUT_S):
            paris = Secretive(running, "paris", "home", Memory())
            await ready(paris)
            tybalt, phone = (Secretive(running, "tybalt", name, Memory()) for name in ("street", "phone"))
            await ready(tybalt)
            await paris.say_secretly(OLD, tybalt.boundjid.bare, "one")
            assert await tybalt.read_secret(await tybalt.next_message(secret_from(paris))) == "one"
            await ready(phone)

            # The new device is told by a notification of the node to which the library subscribed.
            manager = await paris.omemo.get_session_manager()
            while len(await manager.get_device_information(tybalt.boundjid.bare)) < 2:
                await asyncio.wait_for(paris.messages.get(), TIMEOUT_S)
            await paris.say_secretly(OLD, tybalt.boundjid.bare, "two")

            for device in (tybalt, phone):
                assert await device.read_secret(await device.next_message(secret_from(paris))) == "two"
            page = await phone.plugin["xep_0313"].retrieve(with_jid=paris.boundjid.bare, iterator=False)
            kept = [each["mam_result"]["forwarded"]["stanza"] for each in page["mam"]["results"]]
            assert len([each for each in kept if is_secret(each)]) >= 2
            await asyncio.gather(paris.disconnect(), tybalt.disconnect(), phone.disconnect())

    asyncio.run(main())
