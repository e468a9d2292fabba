"""In-band registration (XEP-0077): new accounts where that is switched on, and changing one's password."""

from typing import Final

from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import BAD_REQUEST, NOT_ALLOWED, ErrorType, Refused, StanzaError
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.wire.xml import Element, escape_text

NAMESPACE: Final = "jabber:iq:register"
_NO_PASSWORD: Final = StanzaError(
    ErrorType.AUTH, "not-authorized", "Log in with the password to do that, not with a certificate."
)


def form(name: str = "") -> str:
    """Return what a new account needs; `name` is the only one that may be chosen, if it is not empty."""
    instructions = "Choose a name (letters, digits, underscore) and a password."
    username = f"<username>{escape_text(name)}</username>" if name else "<username/>"
    return (
        f"<query xmlns='{NAMESPACE}'><instructions>{instructions}</instructions>{username}<password/></query>"
    )


def wanted(query: Element) -> tuple[str, str]:
    """Return the name and password of a registration.

    Raises:
        Refused: if one of them is missing.
    """
    name, password = query.child_text("username"), query.child_text("password")
    if not name or not password:
        raise Refused(BAD_REQUEST)
    return name, password


def get(context: Context, iq: Iq) -> None:
    """Tell a client as whom it is registered (XEP-0077 §3.1)."""
    name = escape_text(context.account.name)
    context.reply(
        iq.stanza, f"<query xmlns='{NAMESPACE}'><registered/><username>{name}</username><password/></query>"
    )


def set_(context: Context, iq: Iq) -> None:
    """Change the password of the client's account (XEP-0077 §3.3)."""
    if context.certificate is not None:
        raise Refused(_NO_PASSWORD)  # XEP-0257 §5.2: it never proved the password
    if iq.payload.find("remove") is not None:
        _remove(context, iq)
        return
    name, password = wanted(iq.payload)
    if name != context.account.name:
        raise Refused(BAD_REQUEST)
    ticket = context.begin()

    def done() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    context.place.services.accounts.set_password(
        context.account, password, done, context.refused_by(iq.stanza, ticket)
    )


def _remove(context: Context, iq: Iq) -> None:
    """Delete the client's account (XEP-0077 §3.2), where whoever likes may make one again."""
    if not context.place.config.registration:
        raise Refused(NOT_ALLOWED)  # then the operator made it, and may remove it
    ticket = context.begin()

    def done() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    context.place.services.accounts.delete(context.account, done, context.refused_by(iq.stanza, ticket))


def encode_answer(id_: bytes, payload: str) -> bytes:
    """Return the answer to a client that has not logged in."""
    return f"<iq type='result'{attribute('id', id_.decode())}>{payload}</iq>".encode()
