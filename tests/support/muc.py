"""Short words for tests of rooms (XEP-0045)."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.xmpp import Peer

from sabir.wire.xml import Element

ROOM = "coven@rooms.localhost"
USER = "http://jabber.org/protocol/muc#user"


def entered(peer: Peer, nick: str, room: str = ROOM) -> None:
    """Make `peer` enter, and forget what it heard of that."""
    peer.say(
        f"<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'>"
        "<history maxstanzas='0'/></x></presence>"
    )
    assert any("110" in codes(each) for each in peer.hear()), "not let in"


def entering(nick: str, inside: str = "") -> str:
    """Return a request to enter the room."""
    return f"<presence to='{ROOM}/{nick}'><x xmlns='http://jabber.org/protocol/muc'>{inside}</x></presence>"


def told(payload: str, id: str = "t") -> str:
    """Return a message without a body to everybody in the room."""
    return f"<message to='{ROOM}' type='groupchat' id='{id}'>{payload}</message>"


def said(body: str, id: str = "m", extra: str = "", room: str = ROOM) -> str:
    """Return a message to everybody in a room."""
    return f"<message to='{room}' type='groupchat' id='{id}'><body>{body}</body>{extra}</message>"


def configured(peer: Peer, room: str = ROOM, **fields: str | list[str]) -> Element:
    """Submit a configuration form; a field is named as in the form, but for the prefix."""
    shown = ""
    for name, given in fields.items():
        values = [given] if isinstance(given, str) else given
        inside = "".join([f"<value>{value}</value>" for value in values])
        var = "muc#maxhistoryfetch" if name == "maxhistoryfetch" else f"muc#roomconfig_{name}"
        shown += f"<field var='{var}'>{inside}</field>"
    form = f"<x xmlns='jabber:x:data' type='submit'>{shown}</x>"
    query = f"<query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query>"
    return peer.ask(query, type="set", to=room)


def user(stanza: Element) -> Element:
    """Return what the room says in `stanza`."""
    found = stanza.find("x", USER)
    assert found is not None, stanza.serialise()
    return found


def item(stanza: Element) -> Element:
    """Return what the room says of an occupant."""
    found = user(stanza).find("item")
    assert found is not None, stanza.serialise()
    return found


def codes(stanza: Element) -> set[str]:
    """Return the status codes in `stanza`."""
    found = stanza.find("x", USER)
    return set() if found is None else {status.get("code") or "" for status in found.find_all("status")}


def statuses(stanzas: Iterable[Element], code: str) -> Element:
    """Return the one stanza that has a status code."""
    (found,) = [stanza for stanza in stanzas if code in codes(stanza)]
    return found


def stanza_id(message: Element) -> str:
    """Return the id that the room gave a message (XEP-0359)."""
    (found,) = message.find_all("stanza-id", "urn:xmpp:sid:0")
    return found.get("id") or ""
