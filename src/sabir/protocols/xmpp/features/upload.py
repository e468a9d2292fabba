"""Files over HTTP (XEP-0363): the service that gives slots, at `upload.` and the domain."""

from typing import Final

from sabir.core.errors import Refusal
from sabir.gateway.files import path_of
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import (
    BAD_REQUEST,
    ITEM_NOT_FOUND,
    SERVICE_UNAVAILABLE,
    ErrorType,
    Refused,
    StanzaError,
    stanza_error_for,
)
from sabir.protocols.xmpp.features import anonymous, forms
from sabir.protocols.xmpp.features.context import Context, Iq, Place
from sabir.protocols.xmpp.features.forms import Field
from sabir.wire.xml import Element, escape_attribute

NAMESPACE: Final = "urn:xmpp:http:upload:0"

_INFO: Final = "http://jabber.org/protocol/disco#info"
_ITEMS: Final = "http://jabber.org/protocol/disco#items"
_FULL: Final = StanzaError(
    ErrorType.WAIT, "resource-constraint", "Too many files of yours are here. The oldest are deleted in time."
)


def item(place: Place) -> str:
    """Return what the server lists (XEP-0363 §3); nothing if no file may be uploaded."""
    if not place.services.media.config.max_file_bytes:
        return ""
    return f"<item{attribute('jid', place.upload_domain)} name='Files'/>"


def take_iq(context: Context, iq: Iq) -> None:
    """Answer for the service.

    Raises:
        Refused: it does not do that.
    """
    assert iq.to is not None  # it is how it came here
    payload = (iq.payload.namespace, iq.payload.name)
    if iq.is_set or iq.to.local or not item(context.place):
        raise Refused(SERVICE_UNAVAILABLE)
    if payload == (_INFO, "query"):
        _info(context, iq)
    elif payload == (_ITEMS, "query"):
        context.reply(iq.stanza, f"<query xmlns='{_ITEMS}'/>")
    elif payload == (NAMESPACE, "request"):
        _request(context, iq)
    else:
        raise Refused(SERVICE_UNAVAILABLE)


def _info(context: Context, iq: Iq) -> None:
    if iq.payload.get("node"):
        raise Refused(ITEM_NOT_FOUND)
    limit = str(context.place.services.media.config.max_file_bytes)
    form = forms.write("result", NAMESPACE, [Field("max-file-size", [limit])])
    context.reply(
        iq.stanza,
        f"<query xmlns='{_INFO}'><identity category='store' type='file' name='Files'/>"
        f"<feature var='{_INFO}'/><feature var='{NAMESPACE}'/>{form}</query>",
    )


def _request(context: Context, iq: Iq) -> None:
    """Give a slot (XEP-0363 §4)."""
    anonymous.check_own(context.actor)
    media = context.place.services.media
    name, size = _name(iq.payload), iq.payload.get("size") or ""
    if not size.isdecimal() or not size.isascii() or len(size) > 15:
        raise Refused(BAD_REQUEST)
    slot = media.ask(context.account, name, int(size), (iq.payload.get("content-type") or "")[:200])
    if slot is Refusal.TOO_LARGE:
        raise Refused(_too_large(media.config.max_file_bytes))
    if slot is Refusal.TOO_MANY:
        raise Refused(_FULL)
    if isinstance(slot, Refusal):
        raise Refused(stanza_error_for(slot))
    url = escape_attribute(context.place.public.url + path_of(slot.token, slot.name))
    context.reply(iq.stanza, f"<slot xmlns='{NAMESPACE}'><put url='{url}'/><get url='{url}'/></slot>")


def _name(request: Element) -> str:
    """Return the name of the file without folders: it is kept intact otherwise (XEP-0363 §4)."""
    name = (request.get("filename") or "").replace("\\", "/").rpartition("/")[2]
    return "" if name in (".", "..") or not name.isprintable() else name


def _too_large(limit: int) -> StanzaError:
    """XEP-0363 §6."""
    extra = f"<file-too-large xmlns='{NAMESPACE}'><max-file-size>{limit}</max-file-size></file-too-large>"
    text = f"File too large. The maximum file size is {limit} bytes."
    return StanzaError(ErrorType.MODIFY, "not-acceptable", text, extra)
