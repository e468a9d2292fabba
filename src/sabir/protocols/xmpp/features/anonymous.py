"""What people may do here who have logged in without saying who they are (XEP-0175 §3): talk and be in rooms."""

from typing import Final

from sabir.core.model.actor import Actor, ActorKind
from sabir.protocols.xmpp.errors import NOT_ALLOWED, Refused

# Not from the features that answer: these depend on this.
_REQUESTS: Final = frozenset(
    {
        ("http://jabber.org/protocol/disco#info", "query", False),
        ("http://jabber.org/protocol/disco#items", "query", False),
        ("urn:xmpp:ping", "ping", False),
        ("jabber:iq:version", "query", False),
        ("urn:xmpp:time", "time", False),
        ("jabber:iq:roster", "query", False),  # an empty one: many clients ask before all else
        ("vcard-temp", "vCard", False),
        ("urn:xmpp:carbons:2", "enable", True),
        ("urn:xmpp:carbons:2", "disable", True),
        ("urn:ietf:params:xml:ns:xmpp-session", "session", True),
    }
)
"""Namespace and name of what they may ask the server and accounts, and whether that is a set."""


def is_anonymous(actor: Actor) -> bool:
    """Return whether `actor` is one of them."""
    return actor.kind is ActorKind.TEMPORARY


def check_request(actor: Actor, namespace: str, name: str, *, is_set: bool) -> None:
    """Let a request to the server or an account pass, if `actor` may make it.

    Raises:
        Refused: it is for people with an account of their own.
    """
    if is_anonymous(actor) and (namespace, name, is_set) not in _REQUESTS:
        raise Refused(NOT_ALLOWED)


def check_own(actor: Actor) -> None:
    """Let what needs an account of one's own pass.

    Raises:
        Refused: `actor` has none.
    """
    if is_anonymous(actor):
        raise Refused(NOT_ALLOWED)
