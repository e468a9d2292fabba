"""Services outside of XMPP that clients need, such as STUN and TURN for calls (XEP-0215)."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Final

from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.config import ExternalService
from sabir.protocols.xmpp.errors import BAD_REQUEST, ITEM_NOT_FOUND, Refused
from sabir.protocols.xmpp.features.context import Context, Iq

NAMESPACE: Final = "urn:xmpp:extdisco:2"


def services(context: Context, iq: Iq) -> None:
    """List all services, or those of one type (XEP-0215 §3.1, §3.2)."""
    wanted = iq.payload.get("type")
    listed = "".join(
        [_service(context, each) for each in context.place.config.services if wanted in (None, each.type)]
    )
    shown = "" if wanted is None else attribute("type", wanted)
    context.reply(iq.stanza, f"<services xmlns='{NAMESPACE}'{shown}>{listed}</services>")


def credentials(context: Context, iq: Iq) -> None:
    """Give the credentials for a service that the client knows (XEP-0215 §3.3)."""
    asked = iq.payload.find("service")
    if asked is None or not asked.get("host") or not asked.get("type"):
        raise Refused(BAD_REQUEST)
    found = [
        each
        for each in context.place.config.services
        if (each.host, each.type) == (asked.get("host"), asked.get("type"))
        and asked.get("port") in (None, str(each.port))
        and (each.secret.reveal() or each.username)
    ]
    if not found:
        raise Refused(ITEM_NOT_FOUND)
    given = "".join([_service(context, each) for each in found])
    context.reply(iq.stanza, f"<credentials xmlns='{NAMESPACE}'>{given}</credentials>")


def _service(context: Context, service: ExternalService) -> str:
    shown = {"type": service.type, "host": service.host}
    if service.port:
        shown["port"] = str(service.port)
    if service.transport:
        shown["transport"] = service.transport
    if service.name:
        shown["name"] = service.name
    if service.secret.reveal():
        shown |= _short_lived(context, service.secret.reveal())
    elif service.username:
        shown |= {"username": service.username, "password": service.password.reveal()}
    return "<service" + "".join([attribute(name, value) for name, value in shown.items()]) + "/>"


def _short_lived(context: Context, secret: str) -> dict[str, str]:
    """Return credentials that a TURN server with the same secret accepts until they expire.

    The scheme is that of draft-uberti-behave-turn-rest, which the servers implement.
    """
    expires_s = context.place.services.clock.now_ms() // 1000 + context.place.config.services_ttl_s
    username = f"{expires_s}:{context.account.name}"
    mac = hmac.digest(secret.encode(), username.encode(), hashlib.sha1)
    return {
        "username": username,
        "password": base64.b64encode(mac).decode(),
        "expires": datetime.fromtimestamp(expires_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "restricted": "1",
    }
