"""Certificates with which one logs in instead of the password (XEP-0257): each account's own list of them.

Who signed a certificate does not matter: that it stands in the list of an account is what makes it good for that.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Final, cast

import msgspec
from cryptography import x509

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.services.accounts import ENROLLED
from sabir.core.services.devices import Devices
from sabir.protocols.xmpp.errors import (
    BAD_REQUEST,
    CONFLICT,
    FEATURE_NOT_IMPLEMENTED,
    FORBIDDEN,
    ITEM_NOT_FOUND,
    NOT_ACCEPTABLE,
    NOT_ALLOWED,
    ErrorType,
    Refused,
    StanzaError,
)
from sabir.protocols.xmpp.features.chat import PROTOCOL
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.types import Certificate
from sabir.wire.xml import escape_text

NAMESPACE: Final = "urn:xmpp:saslcert:1"
MAX_CERTIFICATES: Final = 20
MAX_BYTES: Final = 8_192
MAX_NAME_CHARS: Final = 100

_TYPE: Final = f"xmpp{ENROLLED}"
_TOO_MANY: Final = StanzaError(ErrorType.WAIT, "resource-constraint", "Remove a certificate first.")
_decode: Final = msgspec.msgpack.Decoder(list[Certificate]).decode


def find(devices: Devices, account: Account, shown: bytes, now_s: int) -> Certificate | None:
    """Return the certificate in the account's list that was shown (DER), if its time is not over (XEP-0257 §3)."""
    for certificate in _listed(devices, account):
        if certificate.der == shown:
            return certificate if _is_in_time(shown, now_s) else None
    return None


def items(context: Context, iq: Iq) -> None:
    """List the certificates, and the devices that are logged in with each (XEP-0257 §2.2)."""
    _check(context)
    parts = []
    for certificate in _listed(context.place.services.devices, context.account):
        users = "".join(
            [
                f"<resource>{escape_text(each.jid.resource)}</resource>"
                for each in _users(context, certificate)
            ]
        )
        der = base64.b64encode(certificate.der).decode()
        parts.append(
            f"<item><name>{escape_text(certificate.name)}</name><x509cert>{der}</x509cert>"
            f"{f'<users>{users}</users>' if users else ''}</item>"
        )
    context.reply(iq.stanza, f"<items xmlns='{NAMESPACE}'>{''.join(parts)}</items>")


def append(context: Context, iq: Iq) -> None:
    """Add a certificate (XEP-0257 §2.1)."""
    _check_manager(context)
    certificate = Certificate(
        name=_name(iq),
        der=_der(iq.payload.child_text("x509cert") or ""),
        manages=iq.payload.find("no-cert-management") is None,
    )

    def changed(listed: list[Certificate]) -> list[Certificate]:
        if any(each.name == certificate.name or each.der == certificate.der for each in listed):
            raise Refused(CONFLICT)
        if len(listed) >= MAX_CERTIFICATES:
            raise Refused(_TOO_MANY)
        return [*listed, certificate]

    _change(context, iq, changed, lambda: None)


def disable(context: Context, iq: Iq) -> None:
    """Let nobody log in with a certificate any more (XEP-0257 §2.3)."""
    _remove(context, iq, lambda gone: None)


def revoke(context: Context, iq: Iq) -> None:
    """The same, and end what is logged in with it (XEP-0257 §2.4)."""

    def end(gone: Certificate) -> None:
        for device in _users(context, gone):
            device.session.end(Refusal.LOGIN_REQUIRED)

    _remove(context, iq, end)


def _remove(context: Context, iq: Iq, then: Callable[[Certificate], None]) -> None:
    _check_manager(context)
    name = _name(iq)
    found: list[Certificate] = []

    def changed(listed: list[Certificate]) -> list[Certificate]:
        found.extend(each for each in listed if each.name == name)
        if not found:
            raise Refused(ITEM_NOT_FOUND)
        return [each for each in listed if each.name != name]

    _change(context, iq, changed, lambda: then(found[0]))


def _change(
    context: Context,
    iq: Iq,
    changed: Callable[[list[Certificate]], list[Certificate]],
    then: Callable[[], None],
) -> None:
    """Store what `changed` makes of the list, after everything that the client did before."""
    devices = context.place.services.devices

    def effect() -> None:
        try:
            listed = changed(_listed(devices, context.account))
        except Refused as refused:
            context.refuse(iq.stanza, refused.error)
            return
        ticket = context.begin()

        def done() -> None:
            context.reply(iq.stanza)
            ticket.finish()
            then()

        value = msgspec.msgpack.encode(listed) if listed else b""
        devices.set_data(context.account, _TYPE, value, done, context.refused_by(iq.stanza, ticket))

    context.run(effect)


def _listed(devices: Devices, account: Account) -> list[Certificate]:
    stored = devices.data(account, _TYPE)
    return [] if stored is None else _decode(stored)


def _users(context: Context, certificate: Certificate) -> list[Context]:
    """Return the devices that are logged in with a certificate."""
    sessions = context.place.services.devices.of(context.account)
    clients = [cast(Context, session) for session in sessions if session.protocol == PROTOCOL]
    return [client for client in clients if client.certificate == certificate]


def _check(context: Context) -> None:
    if not context.place.config.client_certificates:
        raise Refused(FEATURE_NOT_IMPLEMENTED)
    if not context.is_secure:
        raise Refused(NOT_ALLOWED)  # XEP-0257 §5.1


def _check_manager(context: Context) -> None:
    _check(context)
    if context.certificate is not None and not context.certificate.manages:
        raise Refused(FORBIDDEN)  # XEP-0257 §2.1: a bot that may not change the list


def _name(iq: Iq) -> str:
    name = (iq.payload.child_text("name") or "").strip()
    if not name or len(name) > MAX_NAME_CHARS:
        raise Refused(BAD_REQUEST)
    return name


def _der(text: str) -> bytes:
    try:
        der = base64.b64decode("".join(text.split()).encode(), validate=True)
        if len(der) > MAX_BYTES:
            raise Refused(NOT_ACCEPTABLE)
        x509.load_der_x509_certificate(der)
    except (binascii.Error, ValueError, x509.InvalidVersion):
        raise Refused(BAD_REQUEST) from None
    return der


def _is_in_time(der: bytes, now_s: int) -> bool:
    certificate = x509.load_der_x509_certificate(der)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begin.timestamp() <= now_s <= end.timestamp()
