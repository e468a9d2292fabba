"""OMEMO (XEP-0384) over the `OMEMO` library, with the keys in our archive and nodes read and written by us."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final
from xml.etree.ElementTree import Element

import omemo
import twomemo
import twomemo.etree
from omemo.storage import Just, Maybe, Nothing, Storage
from omemo.types import DeviceInformation, DeviceList, OMEMOException, TrustLevel

from sabir.client.archive import Archive
from sabir.client.connection import Connection, Refused
from sabir.client.encryption import envelope, legacy
from sabir.client.nodes import Nodes
from sabir.client.stanzas import ATTENTION, CORRECTION, EME, OMEMO, OMEMO_LEGACY, REPLY, is_secret, opened

log = logging.getLogger(__name__)

DEVICES: Final = {OMEMO: f"{OMEMO}:devices", OMEMO_LEGACY: f"{OMEMO_LEGACY}.devicelist"}
ABOUT: Final = frozenset({f"{{{REPLY}}}reply", f"{{{CORRECTION}}}replace"})
"""What the older version leaves in the clear and a reader needs: which message one is about."""
OPEN: Final = {"pubsub#access_model": "open", "pubsub#persist_items": "true"}


class Trust(Enum):
    """What the person thinks of a device.

    A device is trusted blindly until the first of its owner's was compared with them ("blind trust before
    verification"); from then on a new one has to be compared too.
    """

    UNDECIDED = "undecided"
    BLIND = "blind"
    VERIFIED = "verified"
    DISTRUSTED = "distrusted"


LEVELS: Final = {
    Trust.UNDECIDED: TrustLevel.UNDECIDED,
    Trust.BLIND: TrustLevel.TRUSTED,
    Trust.VERIFIED: TrustLevel.TRUSTED,
    Trust.DISTRUSTED: TrustLevel.DISTRUSTED,
}


class Unreadable(Exception):
    """A message cannot be decrypted, or not be encrypted for somebody; the text is for people."""


class Silent(Exception):
    """What was encrypted has no text: it moves the ratchet forward and is nothing to show."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device that messages may be encrypted for; `fingerprint` is its key in groups of eight digits."""

    jid: str
    number: int
    key: bytes
    fingerprint: str
    trust: Trust
    active: bool


class Keys(Storage):
    """The library's storage, in the archive's secrets."""

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self._archive: Final = archive

    async def _load(self, key: str) -> Maybe[Any]:
        kept = self._archive.secret(f"omemo {key}")
        return Nothing() if kept is None else Just(json.loads(kept))

    async def _store(self, key: str, value: Any) -> None:
        self._archive.keep_secret(f"omemo {key}", json.dumps(value).encode())

    async def _delete(self, key: str) -> None:
        self._archive.drop_secret(f"omemo {key}")


class Omemo:
    """The account's OMEMO device.

    Args:
        connection: Where its nodes lie.
        archive: Where its keys lie.
        new_id: Makes ids of messages.
    """

    def __init__(self, connection: Connection, archive: Archive, new_id: Callable[[], str]) -> None:
        self._connection: Final = connection
        self._storage: Final = Keys(archive)
        self._new_id: Final = new_id
        self._manager: omemo.SessionManager | None = None
        self._seen: Final[set[str]] = set()
        # The library loads a session, waits for others, and stores it at the end: one at a time, or two messages
        # could be encrypted with one key.
        self._lock: Final = asyncio.Lock()
        # It tells texts and keys to who asks for its finest log.
        logging.getLogger("omemo").setLevel(logging.WARNING)

    async def start(self) -> None:
        """Publish the device's keys, or see that they are as they were published.

        Raises:
            Unreadable: the server has no place for them.
        """
        async with self._lock:
            if self._manager is not None:
                return
            await legacy.ensure_identity(self._storage)
            backends = [twomemo.Twomemo(self._storage), legacy.Legacy(self._storage)]
            manager = _manager_over(self._connection, self._new_id)
            try:
                self._manager = await manager.create(
                    backends, self._storage, self._connection.jid, None, Trust.UNDECIDED.value
                )
            except OMEMOException as error:
                raise Unreadable(f"OMEMO is off: {_words(error)}") from None

    async def caught_up(self) -> None:
        """Tell the library that what was missed was read, which lets it drop keys that were used."""
        if self._manager is not None:
            await self._manager.after_history_sync()

    async def changed(self, publisher: str, node: str, items: Element) -> None:
        """Learn the devices of somebody from an event of their node."""
        namespace = next((space for space, name in DEVICES.items() if name == node), None)
        if namespace is None or self._manager is None:
            return
        async with self._lock:
            for payload in [payload for item in items for payload in item]:
                await self._manager.update_device_list(
                    namespace, publisher, _parse_devices(namespace, payload)
                )
                self._seen.add(publisher)

    async def encrypt(
        self, payload: list[Element], readers: frozenset[str], to: str, text: str
    ) -> list[Element]:
        """Return the payload of a message with what people say in it encrypted.

        Args:
            payload: The payload.
            readers: Who must be able to read it, by bare address.
            to: The room, or the bare address of the reader.
            text: What devices with the older version of OMEMO show, which encrypts nothing but a text.

        Raises:
            Unreadable: one of the readers has no device that could read it, or one that waits for a decision.
        """
        await self.start()
        manager = self._manager
        assert manager is not None
        secret = [element for element in payload if is_secret(element)]
        packed = envelope.pack(secret, self._connection.jid, to, datetime.now(UTC))
        try:
            async with self._lock:
                for jid in readers - self._seen:
                    await manager.refresh_device_lists(jid)
                    if await manager.get_device_information(jid):
                        self._seen.add(jid)
                sealed, errors = await manager.encrypt(readers, {OMEMO: packed, OMEMO_LEGACY: text.encode()})
        except OMEMOException as error:
            raise Unreadable(_words(error)) from None
        for failed in errors:
            log.info(
                "a device is left out", extra={"namespace": failed.namespace, "device": failed.device_id}
            )
        rest = [element for element in payload if not is_secret(element)]
        for message in sealed:
            rest.append(_serialize(message))
            rest.append(Element(f"{{{EME}}}encryption", {"namespace": message.namespace, "name": "OMEMO"}))
        rest.append(_fallback())
        return rest

    async def decrypt(
        self, message: Element, namespace: str, element: Element, sender: str, to: str, room: bool
    ) -> tuple[Element, Device]:
        """Return a message as it was before it was encrypted, and the device that did it.

        Args:
            message: The message.
            namespace: The version of OMEMO.
            element: What is encrypted in it.
            sender: The bare address of who wrote it.
            to: The room, or the bare address of who it was for.
            room: Whether it came in a room.

        Raises:
            Unreadable: it was not meant for this device, comes from one that we distrust, or is damaged.
            Silent: there is nothing to show.
        """
        await self.start()
        assert self._manager is not None
        try:
            async with self._lock:
                parsed = await self._parse(namespace, element, sender)
                plaintext, information, _ = await self._manager.decrypt(parsed)
        except OMEMOException as error:
            raise Unreadable(_words(error)) from None
        except Exception as error:  # the library checks elements by their schema, and raises what that raises
            raise Unreadable(f"malformed: {type(error).__name__}") from None
        if plaintext is None:
            raise Silent
        device = _device(information)
        if namespace == OMEMO:
            try:
                content = envelope.unpack(plaintext, sender, to, room)
            except envelope.Forged as error:
                raise Unreadable(f"forged: {error}") from None
        else:
            # Nothing else is proven: whoever carried the message could have put it there.
            content = [child for child in message if child.tag in ABOUT]
            body = Element("{jabber:client}body")
            body.text = plaintext.decode(errors="replace")
            content.append(body)
        return opened(message, namespace, content), device

    async def devices(self, jid: str) -> list[Device]:
        """Return the devices of somebody; of ourselves, all but this one."""
        await self.start()
        assert self._manager is not None
        await self._manager.refresh_device_lists(jid)
        self._seen.add(jid)
        if jid == self._connection.jid:
            _, others = await self._manager.get_own_device_information()
            return [_device(other) for other in others]
        return [_device(other) for other in await self._manager.get_device_information(jid)]

    async def own(self) -> Device:
        """Return this device."""
        await self.start()
        assert self._manager is not None
        own, _ = await self._manager.get_own_device_information()
        return _device(own)

    async def _parse(self, namespace: str, element: Element, sender: str) -> omemo.Message:
        if namespace == OMEMO:
            return twomemo.etree.parse_message(element, sender)
        assert self._manager is not None
        own, _ = await self._manager.get_own_device_information()
        return legacy.read_message(element, sender, self._connection.jid, own.device_id)

    async def judge(self, device: Device, trust: Trust) -> None:
        """Note what the person thinks of a device."""
        assert self._manager is not None
        async with self._lock:
            await self._manager.set_trust(device.jid, device.key, trust.value)


def _manager_over(connection: Connection, new_id: Callable[[], str]) -> type[omemo.SessionManager]:
    """Return a session manager whose class knows the connection: the library makes the instance itself."""
    nodes = Nodes(connection)

    class Manager(omemo.SessionManager):
        @staticmethod
        async def _upload_bundle(bundle: omemo.Bundle) -> None:
            if isinstance(bundle, legacy.LegacyBundle):
                # XEP-0384 (0.3) §4.3: a node for each device, with one item.
                node, item, payload = (
                    legacy.bundle_node(bundle.device_id),
                    "current",
                    legacy.write_bundle(bundle),
                )
                options = OPEN
            else:
                assert isinstance(bundle, twomemo.twomemo.BundleImpl)
                # XEP-0384 §5.3.2: one node, with an item for each device.
                node, item = f"{OMEMO}:bundles", str(bundle.device_id)
                payload, options = twomemo.etree.serialize_bundle(bundle), {**OPEN, "pubsub#max_items": "max"}
            try:
                await nodes.publish(node, item, payload, options)
            except Refused as error:
                raise omemo.BundleUploadFailed(str(error)) from None

        @staticmethod
        async def _download_bundle(namespace: str, bare_jid: str, device_id: int) -> omemo.Bundle:
            try:
                if namespace == OMEMO:
                    found = await nodes.items(bare_jid, f"{OMEMO}:bundles", str(device_id))
                    return twomemo.etree.parse_bundle(found[0], bare_jid, device_id)
                found = await nodes.items(bare_jid, legacy.bundle_node(device_id))
                return legacy.read_bundle(found[-1], bare_jid, device_id)
            except (IndexError, Refused) as error:
                raise omemo.BundleNotFound(str(error)) from None
            except Exception as error:  # the library's checks by schema raise what they raise
                raise omemo.BundleDownloadFailed(f"malformed: {type(error).__name__}") from None

        @staticmethod
        async def _delete_bundle(namespace: str, device_id: int) -> None:
            try:
                if namespace == OMEMO:
                    await nodes.retract(f"{OMEMO}:bundles", str(device_id))
                else:
                    await nodes.delete_node(legacy.bundle_node(device_id))
            except Refused as error:
                log.info("a bundle was not there", extra={"error": str(error)})

        @staticmethod
        async def _upload_device_list(namespace: str, device_list: DeviceList) -> None:
            written = (
                twomemo.etree.serialize_device_list(device_list)
                if namespace == OMEMO
                else legacy.write_devices(device_list)
            )
            try:
                await nodes.publish(DEVICES[namespace], "current", written, OPEN)
            except Refused as error:
                raise omemo.DeviceListUploadFailed(str(error)) from None

        @staticmethod
        async def _download_device_list(namespace: str, bare_jid: str) -> DeviceList:
            try:
                found = await nodes.items(bare_jid, DEVICES[namespace])
            except Refused:
                return {}
            return _parse_devices(namespace, found[-1]) if found else {}

        async def _evaluate_custom_trust_level(self, device: DeviceInformation) -> TrustLevel:
            return LEVELS[Trust(device.trust_level_name)]

        async def _make_trust_decision(
            self, undecided: frozenset[DeviceInformation], identifier: str | None
        ) -> None:
            for device in undecided:
                known = await self.get_device_information(device.bare_jid)
                if not any(other.trust_level_name == Trust.VERIFIED.value for other in known):
                    await self.set_trust(device.bare_jid, device.identity_key, Trust.BLIND.value)

        @staticmethod
        async def _send_message(message: omemo.Message, bare_jid: str) -> None:
            store = Element(f"{{{ATTENTION}}}store")
            connection.send("chat", bare_jid, new_id(), [_serialize(message), store])

    return Manager


def _serialize(message: omemo.Message) -> Element:
    return (
        twomemo.etree.serialize_message(message)
        if message.namespace == OMEMO
        else legacy.write_message(message)
    )


def _parse_devices(namespace: str, payload: Element) -> DeviceList:
    if namespace != OMEMO:
        return legacy.read_devices(payload)
    try:
        return twomemo.etree.parse_device_list(payload)
    except Exception as error:  # the library's check by schema raises what it raises
        log.info("a malformed list of devices", extra={"error": type(error).__name__})
        return {}


def _device(information: DeviceInformation) -> Device:
    return Device(
        information.bare_jid,
        information.device_id,
        information.identity_key,
        " ".join(omemo.SessionManager.format_identity_key(information.identity_key)),
        Trust(information.trust_level_name),
        any(active for _, active in information.active),
    )


def _fallback() -> Element:
    body = Element("{jabber:client}body")
    # XEP-0384 §5.6: for those who cannot decrypt it.
    body.text = "This message is encrypted with OMEMO, which your client does not seem to support."
    return body


def _words(error: OMEMOException) -> str:
    match error:
        case omemo.NoEligibleDevices():
            people = ", ".join(sorted(error.bare_jids))
            return f"no device of {people} can read it: they use no OMEMO, or you trust none of their devices"
        case omemo.StillUndecided():
            return "a new device has to be compared first: open the keys of this chat"
        case omemo.MessageNotForUs():
            return "it was not encrypted for this device"
        case omemo.SenderDistrusted():
            return "it comes from a device that you distrust"
        case omemo.NoSession():
            return "this device and the sender's have not met yet; the next message will be readable"
        case _:
            return str(error) or type(error).__name__
