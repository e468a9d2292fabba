"""What tests of pubsub say and look for."""

from __future__ import annotations

import base64
import hashlib

from tests.support.xmpp import Peer

from sabir.wire.xml import Element, escape_attribute

PUBSUB = "http://jabber.org/protocol/pubsub"
OWNER = PUBSUB + "#owner"
EVENT = PUBSUB + "#event"
ERRORS = PUBSUB + "#errors"
DISCO = "http://jabber.org/protocol/disco#info"
CAPS = "http://jabber.org/protocol/caps"


def hash_of(*features: str) -> str:
    """Return the hash of a client with these features and one identity (XEP-0115 §5.1)."""
    text = "client/pc//test<" + "".join(feature + "<" for feature in sorted(features))
    return base64.b64encode(hashlib.sha1(text.encode(), usedforsecurity=False).digest()).decode()


def presence_with(ver: str) -> str:
    """Return a presence with a hash."""
    return f"<presence><c xmlns='{CAPS}' hash='sha-1' node='urn:test' ver='{ver}'/></presence>"


def question(peer: Peer) -> Element:
    """Return the question of the server what the client can do; what else was heard stays."""
    heard = peer.hear()
    asked = [each for each in heard if _is_question(each)]
    peer.heard = [each for each in heard if not _is_question(each)]
    (found,) = asked
    return found


def _is_question(stanza: Element) -> bool:
    return stanza.name == "iq" and stanza.find("query", DISCO) is not None and stanza.get("type") == "get"


def answer(peer: Peer, asked: Element, *features: str) -> None:
    """Answer it."""
    query = asked.find("query", DISCO)
    assert query is not None
    listed = "".join(f"<feature var='{escape_attribute(feature)}'/>" for feature in features)
    node = escape_attribute(query.get("node") or "")
    peer.say(
        f"<iq type='result' id='{asked.get('id')}' to='{asked.get('from')}'><query xmlns='{DISCO}' node='{node}'>"
        f"<identity category='client' type='pc' name='test'/>{listed}</query></iq>"
    )


def be_interested(peer: Peer, *nodes: str) -> None:
    """Come online with the wish to be told of nodes; answer the question if it is asked."""
    features = [node + "+notify" for node in nodes]
    peer.say(presence_with(hash_of(*features)))
    heard = peer.hear()
    for stanza in heard:
        if _is_question(stanza):
            heard.remove(stanza)
            answer(peer, stanza, *features)
            break
    peer.heard = heard + peer.heard


def form(kind: str, **fields: str) -> str:
    """Return a submitted form; `access_model` stands for `pubsub#access_model`, and so on."""
    parts = [f"<field var='FORM_TYPE' type='hidden'><value>{PUBSUB}#{kind}</value></field>"]
    for name, value in fields.items():
        parts.append(f"<field var='pubsub#{name}'><value>{value}</value></field>")
    return f"<x xmlns='jabber:x:data' type='submit'>{''.join(parts)}</x>"


def publication(node: str, payload: str, id: str = "", options: str = "") -> str:
    """Return a request to publish; `options` is a form."""
    named = f" id='{id}'" if id else ""
    more = f"<publish-options>{options}</publish-options>" if options else ""
    publish = f"<publish node='{node}'><item{named}>{payload}</item></publish>"
    return f"<pubsub xmlns='{PUBSUB}'>{publish}{more}</pubsub>"


def publish(peer: Peer, node: str, payload: str, id: str = "", **options: str) -> Element:
    """Publish, with options if there are any; return the answer."""
    wanted = form("publish-options", **options) if options else ""
    return peer.ask(publication(node, payload, id, wanted), type="set")


def fetch(peer: Peer, node: str, to: str = "", inside: str = "", attributes: str = "") -> Element:
    """Return the answer to a request for items."""
    return peer.ask(
        f"<pubsub xmlns='{PUBSUB}'><items node='{node}'{attributes}>{inside}</items></pubsub>", to=to
    )


def ids(answered: Element) -> list[str | None]:
    """Return the names of the items of an answer."""
    assert answered.get("type") == "result", answered.serialise()
    items = answered.elements()[0].find("items")
    assert items is not None
    return [item.get("id") for item in items.find_all("item")]


def events(peer: Peer) -> list[Element]:
    """Return what happened at nodes: the only children of the events heard. What else was heard stays."""
    heard = peer.hear()
    peer.heard = [each for each in heard if each.find("event", EVENT) is None]
    found = [each.find("event", EVENT) for each in heard]
    return [event.elements()[0] for event in found if event is not None]


def error_of(answered: Element) -> tuple[str, str, str]:
    """Return type, condition and pubsub's own condition of an error."""
    error = answered.find("error")
    assert error is not None, answered.serialise()
    special = [each.name for each in error.elements() if each.namespace == ERRORS]
    conditions = [
        each.name
        for each in error.elements()
        if each.namespace == "urn:ietf:params:xml:ns:xmpp-stanzas" and each.name != "text"
    ]
    return error.get("type") or "", conditions[0], special[0] if special else ""


def befriend(one: Peer, other: Peer) -> None:
    """Let two see each other's presence."""
    for asking, granting in ((one, other), (other, one)):
        asker, granter = asking.jid.partition("/")[0], granting.jid.partition("/")[0]
        asking.say(f"<presence to='{granter}' type='subscribe'/>")
        granting.say(f"<presence to='{asker}' type='subscribed'/>")
    one.hear()
    other.hear()
