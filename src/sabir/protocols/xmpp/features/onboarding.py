"""Invitations by a link (XEP-0401, XEP-0445, XEP-0379): what the link says, and what a contact may do with it."""

from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import quote

from sabir.core.model.actor import Actor
from sabir.core.services.vouchers import Voucher
from sabir.protocols.xmpp.codec import attribute, element_of
from sabir.protocols.xmpp.errors import ErrorType, StanzaError
from sabir.protocols.xmpp.features.context import Place
from sabir.protocols.xmpp.types import Stanza

NAMESPACE: Final = "urn:xmpp:pars:0"
PAGE: Final = "/invite/"
"""Where the page for an invitation is, before its secret."""

NOT_VALID: Final = StanzaError(
    ErrorType.CANCEL, "item-not-found", "This invitation is not valid, or not valid any more."
)


def uri_of(voucher: Voucher, secret: str, domain: str) -> str:
    """Return the link that a client opens (XEP-0401 §5.1, XEP-0445 §2)."""
    if voucher.befriends and voucher.inviter is not None and not voucher.name:
        ibr = ";ibr=y" if voucher.registers else ""
        return f"xmpp:{voucher.inviter.name}@{domain}?roster;preauth={quote(secret)}{ibr}"
    return registration_uri(voucher.name, secret, domain)


def registration_uri(name: str, secret: str, domain: str) -> str:
    """Return the link by which a client makes an account, of that name unless it is empty (XEP-0445 §2)."""
    address = f"{name}@{domain}" if name else domain
    return f"xmpp:{address}?register;preauth={quote(secret)}"


def is_from_operator(voucher: Voucher | None, name: str, operators: Collection[str]) -> bool:
    """Return whether an operator has promised just that name to whoever shows the invitation."""
    if voucher is None or voucher.name != name:
        return False
    return voucher.inviter is None or voucher.inviter.name in operators


def subscribe(place: Place, stanza: Stanza, newcomer: Actor, inviter: Actor, ask: Callable[[], None]) -> None:
    """Ask for a subscription by `ask`; whoever shows that `inviter` wants it is agreed to at once (XEP-0379 §3.5)."""
    preauth = element_of(stanza).find("preauth", NAMESPACE)
    vouchers = place.services.vouchers
    voucher = None if preauth is None else vouchers.find(preauth.get("token") or "")
    if voucher is None or voucher.inviter is None or voucher.inviter.actor is not inviter:
        ask()  # XEP-0379 §4.1: what is no invitation of theirs is ignored
        return
    sender = attribute("from", f"{inviter.name}@{place.domain}")
    back = f"<presence type='subscribe'{sender}/>"
    vouchers.befriend(voucher, newcomer, ask, back.encode())
