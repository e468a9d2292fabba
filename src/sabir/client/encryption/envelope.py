"""The envelope of what OMEMO encrypts (XEP-0420): the parts of a message, padded, and from whom to whom."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from sabir.client.stanzas import bare, is_secret

SCE: Final = "urn:xmpp:sce:1"
PADDING_MAX: Final = 200


class Forged(Exception):
    """What was encrypted does not fit the message that carried it."""


def pack(content: list[Element], sender: str, to: str, now: datetime) -> bytes:
    """Return the envelope of `content`; `to` is the room where there is one (XEP-0420 §4.2)."""
    envelope = Element(f"{{{SCE}}}envelope")
    SubElement(envelope, f"{{{SCE}}}content").extend(content)
    SubElement(envelope, f"{{{SCE}}}rpad").text = "".ljust(secrets.randbelow(PADDING_MAX + 1), "x")
    SubElement(envelope, f"{{{SCE}}}time", {"stamp": now.astimezone(UTC).isoformat(timespec="seconds")})
    SubElement(envelope, f"{{{SCE}}}to", {"jid": to})
    SubElement(envelope, f"{{{SCE}}}from", {"jid": sender})
    return ElementTree.tostring(envelope)


def unpack(envelope: bytes, sender: str, to: str, room: bool) -> list[Element]:
    """Return the content of an envelope that came from `sender`.

    Args:
        envelope: What was decrypted.
        sender: The bare address of who encrypted it, as the keys prove.
        to: The room, or the bare address of who it was for.
        room: Whether it came in a room.

    Raises:
        Forged: it was written for another conversation, or in another's name (XEP-0420 §5.2).
    """
    try:
        element = ElementTree.fromstring(envelope)
    except ElementTree.ParseError:
        raise Forged("no envelope") from None
    content = element.find(f"{{{SCE}}}content")
    if element.tag != f"{{{SCE}}}envelope" or content is None:
        raise Forged("no envelope")
    origin = element.find(f"{{{SCE}}}from")
    if origin is None or bare(origin.get("jid", "")) != sender:
        raise Forged("in another's name")
    target = element.find(f"{{{SCE}}}to")
    if (room and target is None) or (target is not None and bare(target.get("jid", "")) != to):
        raise Forged("for another conversation")
    return [child for child in content if is_secret(child)]
