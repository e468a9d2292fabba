"""One picture of a person, for clients that read it from nodes (XEP-0084) and from the card (XEP-0153).

The nodes hold it. A card is given with the picture in it, one that is set with a picture is published (XEP-0398 §3),
and presences carry its hash whoever sends them (XEP-0398 §4).
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sabir.core.model.actor import Account, Actor
from sabir.core.model.pubsub import Access, Edit, Publish
from sabir.protocols.xmpp.codec import CLIENT
from sabir.protocols.xmpp.errors import BAD_REQUEST, Refused
from sabir.protocols.xmpp.features.context import Place
from sabir.wire.xml import Element, parse

DATA: Final = "urn:xmpp:avatar:data"
METADATA: Final = "urn:xmpp:avatar:metadata"
FEATURE: Final = "urn:xmpp:pep-vcard-conversion:0"
UPDATE: Final = "vcard-temp:x:update"
_CARD: Final = "vcard-temp"
_PUBLIC: Final[dict[str, object]] = {"access": Access.OPEN}
"""How nodes are made for the picture of a card: cards are for everybody."""
_CONTEXT: Final = f" xmlns='{CLIENT}'".encode()
_TYPES: Final = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
)
_DEFAULT_TYPE: Final = "image/png"


def hash_of(place: Place, owner: Actor) -> str:
    """Return the hash of somebody's picture, empty if there is none."""
    pubsub = place.services.pubsub
    shown = pubsub.node(owner, METADATA)
    kept = None if shown is None else pubsub.node(owner, DATA)
    if shown is None or kept is None or not shown.items:
        return ""
    id_ = next(reversed(shown.items))
    # The item of a picture is called by its hash (XEP-0084 §3.1); one that says there is none is not.
    return id_ if id_ in kept.items and len(id_) == 40 else ""


# The card


def with_photo(place: Place, card: Element, owner: Actor, reader: Actor) -> Element:
    """Return a card with the picture, if `reader` may read the node that has it (XEP-0398 §5.2)."""
    id_ = hash_of(place, owner)
    pubsub = place.services.pubsub
    kept, shown = pubsub.node(owner, DATA), pubsub.node(owner, METADATA)
    if not id_ or kept is None or shown is None or not pubsub.may_read(kept, reader):
        return card
    rows = pubsub.items(kept, [id_]) + pubsub.items(shown, [id_])
    if len(rows) != 2:
        return card
    encoded = "".join(parse(rows[0].payload).text().split())
    try:
        picture = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return card
    if hashlib.sha1(picture, usedforsecurity=False).hexdigest() != id_:
        return card  # XEP-0398 §3.1
    info = [each for each in parse(rows[1].payload).find_all("info") if not each.get("url")]
    photo = Element("PHOTO", _CARD)
    photo.add("TYPE", text=(info[0].get("type") if info else None) or _DEFAULT_TYPE)
    photo.add("BINVAL", text=encoded)
    return Element("vCard", _CARD, card.attributes, [*without_photo(card).children, photo])


def without_photo(card: Element) -> Element:
    """Return a card without a picture that is in it; one that is elsewhere stays."""
    children = [child for child in card.children if isinstance(child, str) or not _has_picture(child)]
    return Element("vCard", _CARD, card.attributes, children)


def _has_picture(child: Element) -> bool:
    return child.name == "PHOTO" and child.find("BINVAL") is not None


def edits_for(place: Place, owner: Actor, card: Element) -> Sequence[Edit]:
    """Return what is to be published when somebody sets a card (XEP-0398 §3.2).

    Raises:
        Refused: if the picture is none.
    """
    photo = card.find("PHOTO")
    encoded = "" if photo is None else "".join((photo.child_text("BINVAL") or "").split())
    before = hash_of(place, owner)
    if not encoded:
        nothing = Element("metadata", METADATA).to_bytes()
        return [Publish(METADATA, place.services.log.new_id().hex(), nothing)] if before else []
    try:
        picture = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(BAD_REQUEST) from None
    id_ = hashlib.sha1(picture, usedforsecurity=False).hexdigest()
    if id_ == before or photo is None:
        return []
    type_ = (photo.child_text("TYPE") or "").strip() or _type_of(picture)
    metadata = Element("metadata", METADATA)
    metadata.add("info", id=id_, type=type_, bytes=str(len(picture)))
    data = Element("data", DATA, None, [encoded])
    pubsub = place.services.pubsub
    return [
        Publish(name, id_, element.to_bytes(), {} if pubsub.node(owner, name) is not None else _PUBLIC)
        for name, element in ((DATA, data), (METADATA, metadata))
    ]


def _type_of(picture: bytes) -> str:
    for start, type_ in _TYPES:
        if picture.startswith(start):
            return type_
    return _DEFAULT_TYPE


# The presence


def mark(own: Element | None, hash_: str) -> Element | None:
    """Return the update that a presence gets in place of its `own`; None if that stays (XEP-0398 §4)."""
    photo = None if own is None else own.find("photo")
    said = None if photo is None else photo.text().strip()
    if not hash_ or said in ("", hash_):
        return None
    return _update(hash_)


def _update(hash_: str) -> Element:
    update = Element("x", UPDATE)
    update.add("photo").children += [hash_] if hash_ else []
    return update


class Pictures:
    """Shows contacts a new picture: the presences of the account again, with its hash."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._emptied: dict[int, set[str]] = {}
        """By account, the devices in whose presence we have said that there is no picture any more."""

    def observe(self, owner: Actor, by: Actor, edits: Sequence[Edit]) -> None:
        """See `Pubsub.observers`."""
        if owner.account_id is not None and any(edit.name == METADATA for edit in edits):
            self._show_again(self._place.services.directory.accounts[owner.account_id])

    def _show_again(self, account: Account) -> None:
        hash_ = hash_of(self._place, account.actor)
        emptied = self._emptied.pop(account.id, set())
        for session in list(self._place.services.devices.of(account)):
            presence = session.presence
            if not presence.is_available or presence.protocol != session.protocol or not presence.native:
                continue
            element = parse(presence.native, _CONTEXT)
            own = element.find("x", UPDATE)
            said = None if own is None else own.child_text("photo")
            if said == hash_ or (not hash_ and said is None):
                continue  # it says so already
            if said == "" and session.resource not in emptied:
                continue  # it wants to say nothing
            if not hash_:
                self._emptied.setdefault(account.id, set()).add(session.resource)
            element.children = [child for child in element.children if child is not own] + [_update(hash_)]
            shown = replace(presence, native=element.to_bytes(CLIENT))
            self._place.services.presences.change(session, shown)
