"""OMEMO's older version: elements and key messages, and what comes instead of them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omemo import Message
from omemo.backend import DecryptionFailed, KeyExchangeFailed
from omemo.session import Initiation
from omemo.storage import Just, Maybe, Nothing, Storage

from sabir.client.encryption import envelope, files
from sabir.client.encryption.legacy import (
    Legacy,
    ensure_identity,
    read_bundle,
    read_devices,
    read_message,
    write_bundle,
    write_message,
)
from sabir.client.encryption.legacy.values import NAMESPACE, KeyMessage, LegacyExchange


class Memory(Storage):
    """The keys of one device."""

    def __init__(self) -> None:
        super().__init__(disable_cache=True)
        self._kept: dict[str, Any] = {}

    async def _load(self, key: str) -> Maybe[Any]:
        return Just(self._kept[key]) if key in self._kept else Nothing()

    async def _store(self, key: str, value: Any) -> None:
        self._kept[key] = value

    async def _delete(self, key: str) -> None:
        self._kept.pop(key, None)


async def device() -> Legacy:
    storage = Memory()
    await ensure_identity(storage)
    backend = Legacy(storage)
    await backend.generate_pre_keys(3)
    return backend


def test_two_devices_talk_across_restarts_and_out_of_order() -> None:
    async def main() -> None:
        ada, bob = await device(), await device()
        bundle = read_bundle(write_bundle(await bob.get_bundle("bob@x", 2)), "bob@x", 2)
        content, keys = await ada.encrypt_plaintext(b"hello")
        session, encrypted = await ada.build_session_active("bob@x", 2, bundle, keys)
        await ada.store_session(session)
        element = write_message(
            Message(NAMESPACE, "ada@x", 1, content, frozenset({(encrypted, session.key_exchange)}))
        )
        received = read_message(ElementTree.fromstring(ElementTree.tostring(element)), "ada@x", "bob@x", 2)
        ((its_keys, exchange),) = received.keys
        assert exchange is not None
        theirs, opened = await bob.build_session_passive("ada@x", 1, exchange, its_keys)
        await bob.store_session(theirs)
        assert await bob.decrypt_plaintext(received.content, opened) == b"hello"
        assert theirs.initiation is Initiation.PASSIVE
        assert await bob.delete_pre_key(theirs)
        assert await bob.get_num_visible_pre_keys() == 2

        sent = []
        for number in range(4):
            _, keys = await bob.encrypt_plaintext(bytes([number]))
            session_now = await bob.load_session("ada@x", 1)
            assert session_now is not None
            sent.append((keys, await bob.encrypt_key_material(session_now, keys)))
            await bob.store_session(session_now)
        for keys, message in (sent[2], sent[0], sent[3], sent[1]):
            back = await ada.load_session("bob@x", 2)
            assert back is not None
            assert await ada.decrypt_key_material(back, message) == keys
            await ada.store_session(back)
            assert back.confirmed
            with pytest.raises(DecryptionFailed):
                await ada.decrypt_key_material(back, message)

    asyncio.run(main())


def test_a_bundle_that_its_owner_did_not_sign_makes_no_session() -> None:
    async def main() -> None:
        ada, bob, eve = await device(), await device(), await device()
        bundle, other = await bob.get_bundle("bob@x", 2), await eve.get_bundle("bob@x", 2)
        element = write_bundle(bundle)
        element[0].text = write_bundle(other)[0].text
        _, keys = await ada.encrypt_plaintext(b"hello")

        with pytest.raises(KeyExchangeFailed):
            await ada.build_session_active("bob@x", 2, read_bundle(element, "bob@x", 2), keys)

    asyncio.run(main())


@given(st.binary(max_size=200))
def test_strange_bytes_are_no_message(data: bytes) -> None:
    for strange in (data, b"\x33" + data):
        for parse in (KeyMessage.parse, LegacyExchange.unwrap):
            with contextlib.suppress(DecryptionFailed):
                parse(strange)


@pytest.mark.parametrize(
    "text",
    [
        "<encrypted/>",
        "<encrypted><header sid='-1'/></encrypted>",
        "<encrypted><header sid='1'><key rid='2'>!</key></header></encrypted>",
        "<encrypted><header sid='1'><key rid='2'>AAAA</key></header></encrypted>",
        "<encrypted><header sid='1'><iv>=</iv></header></encrypted>",
    ],
)
def test_a_malformed_element_is_refused_by_one_error(text: str) -> None:
    element = ElementTree.fromstring(text.replace("<encrypted", f"<encrypted xmlns='{NAMESPACE}'", 1))

    with pytest.raises(DecryptionFailed):
        read_message(element, "ada@x", "bob@x", 2)


def test_devices_that_are_no_numbers_are_left_out() -> None:
    text = f"<list xmlns='{NAMESPACE}'><device id='7'/><device id='x'/><device/><device id='99999999999'/></list>"

    assert read_devices(ElementTree.fromstring(text)) == {7: None}


@pytest.mark.spec("XEP-0420 §5.2")
def test_an_envelope_for_another_conversation_is_forged() -> None:
    from datetime import UTC, datetime

    body = Element("{jabber:client}body")
    body.text = "hi"
    packed = envelope.pack([body], "ada@x", "room@r", datetime.now(UTC))

    (content,) = envelope.unpack(packed, "ada@x", "room@r", room=True)
    assert content.text == "hi"
    for sender, to in (("eve@x", "room@r"), ("ada@x", "other@r")):
        with pytest.raises(envelope.Forged):
            envelope.unpack(packed, sender, to, room=True)
    with pytest.raises(envelope.Forged):
        envelope.unpack(b"<not", "ada@x", "room@r", room=True)


@pytest.mark.spec("XEP-0454 §2")
def test_a_file_opens_with_its_link_alone() -> None:
    sealed, fragment = files.seal(b"picture")
    link = files.link("https://up.example.org/a/b.png", fragment)
    assert link.startswith("aesgcm://up.example.org/a/b.png#")

    address, opener = files.address(link)

    assert (address, files.unseal(sealed, opener)) == ("https://up.example.org/a/b.png", b"picture")
    with pytest.raises(ValueError, match="not the one"):
        files.unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), opener)
    with pytest.raises(ValueError, match="link"):
        files.address("aesgcm://x/y#00")
