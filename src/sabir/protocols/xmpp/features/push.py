"""Push (XEP-0357): which services wake the client's device, and the service that is part of this server.

Services elsewhere (app servers, as makers of clients run them) are sent what they are to know as an item. Ours is at
`push.` and the domain. What a device says when it registers there, as publish options, is how its maker's service is
reached: `type` is `webpush` (UnifiedPush too) with `endpoint`, `p256dh` and `auth`, as browsers and distributors
give them, or `fcm` or `apns` with `token`.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from sabir.core.model.changes import PushRow
from sabir.core.model.push import PushNotice, PushOutcome
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import BAD_REQUEST, SERVICE_UNAVAILABLE, ErrorType, Refused, StanzaError
from sabir.protocols.xmpp.features import disco, forms
from sabir.protocols.xmpp.features.chat import PROTOCOL
from sabir.protocols.xmpp.features.context import Context, Iq, Place
from sabir.protocols.xmpp.features.forms import Field
from sabir.protocols.xmpp.jid import JidSyntaxError, parse_jid
from sabir.wire.xml import Element

NAMESPACE: Final = "urn:xmpp:push:0"
PUBSUB: Final = "http://jabber.org/protocol/pubsub"
SUMMARY: Final = "urn:xmpp:push:summary"
PUBLISH_OPTIONS: Final = "http://jabber.org/protocol/pubsub#publish-options"
MAX_NODE_CHARS: Final = 1_000
MAX_OPTIONS: Final = 16
MAX_VALUE_CHARS: Final = 4_096

# XEP-0357 §7 leaves it open: an app server may need to see that there is a message, but not what it says.
_SOMETHING: Final = "New message"


def enable(context: Context, iq: Iq) -> None:
    """Have the client's device woken by a service (XEP-0357 §5)."""
    service, node = _service(iq), iq.payload.get("node") or ""
    options = _options(iq.payload)
    if len(node) > MAX_NODE_CHARS:
        raise Refused(BAD_REQUEST)
    if service == context.place.push_domain:
        _check(context.place, options)
    row = PushRow(
        account_id=context.account.id,
        protocol=PROTOCOL,
        service=service,
        node=node,
        resource=context.jid.resource,
        options=options,
        at_ms=context.place.services.clock.now_ms(),
    )
    ticket = context.begin()

    def done() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    context.place.services.pushes.register(row, done, context.refused_by(iq.stanza, ticket))


def disable(context: Context, iq: Iq) -> None:
    """End that, for one node or all of a service (XEP-0357 §6)."""
    service, node = _service(iq), iq.payload.get("node")
    ticket = context.begin()

    def done() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    context.place.services.pushes.remove(
        context.account, PROTOCOL, service, node, done, context.refused_by(iq.stanza, ticket)
    )


def wake_for(context: Context, seq: int) -> None:
    """Wake the client's device for an entry of the log that it was sent and may not have got."""
    services = context.place.services
    event = services.history.at(seq) if seq and context.account.id in services.pushes.registered else None
    conversation = None if event is None else services.devices.conversation_of(event)
    if event is not None and conversation is not None:
        services.pushes.slept_through(context.session, conversation, event)


def take_iq(context: Context, iq: Iq) -> None:
    """Answer for the service of this server (XEP-0357 §4.2)."""
    if iq.is_set or (iq.payload.namespace, iq.payload.name) != (disco.INFO, "query"):
        raise Refused(SERVICE_UNAVAILABLE)
    waker = context.place.waker
    key = waker.key if waker is not None else ""
    shown = forms.write("result", NAMESPACE, [Field("x-vapid", [key])]) if key else ""
    context.run(
        lambda: context.reply(
            iq.stanza,
            f"<query xmlns='{disco.INFO}'><identity category='pubsub' type='push' name='Push'/>"
            f"<feature var='{disco.INFO}'/><feature var='{NAMESPACE}'/>{shown}</query>",
        )
    )


def notification(place: Place, notice: PushNotice, *, with_sender: bool) -> str:
    """Return what a service is told (XEP-0357 §7); `notice.text` is empty where it is not to see it."""
    fields = [Field("message-count", [str(notice.count)])]
    if with_sender:
        fields.append(Field("last-message-sender", [_sender(place, notice)]))
    fields.append(Field("last-message-body", [notice.text or _SOMETHING]))
    return f"<notification xmlns='{NAMESPACE}'>{forms.write('submit', SUMMARY, fields)}</notification>"


class Gateway:
    """Wakes devices that were registered over XMPP; see `sabir.core.ports.PushGateway`."""

    def __init__(self, place: Place, *, with_sender: bool) -> None:
        self._place: Final = place
        self._with_sender: Final = with_sender

    def push(self, row: PushRow, notice: PushNotice, done: Callable[[PushOutcome], None]) -> None:
        """See `PushGateway.push`."""
        place = self._place
        payload = notification(place, notice, with_sender=self._with_sender)
        if row.service != place.push_domain:
            published = _published(row, payload)
            place.errands.ask(parse_jid(row.service), published, lambda error: done(_outcome(error)))
        elif place.waker is not None:
            place.waker.wake(row.options, payload.encode(), done, urgent=notice.urgent)
        else:
            done(PushOutcome.LATER)


def _published(row: PushRow, payload: str) -> str:
    """Return what a service elsewhere is sent: an item for the node, and the options of the registration."""
    options = ""
    if row.options:
        fields = [Field(name, [value]) for name, value in row.options.items()]
        form = forms.write("submit", PUBLISH_OPTIONS, fields)
        options = f"<publish-options>{form}</publish-options>"
    node = attribute("node", row.node) if row.node else ""
    return f"<pubsub xmlns='{PUBSUB}'><publish{node}><item>{payload}</item></publish>{options}</pubsub>"


def _outcome(error: StanzaError | None) -> PushOutcome:
    """XEP-0357 §7.1: an error ends the registration, unless it may pass."""
    if error is None:
        return PushOutcome.TAKEN
    passing = error.type is ErrorType.WAIT or error.condition.startswith("remote-server-")
    return PushOutcome.LATER if passing else PushOutcome.GONE


def _sender(place: Place, notice: PushNotice) -> str:
    conversation, event = notice.conversation, notice.event
    if conversation.is_room:
        return f"{conversation.name}@{place.rooms_domain}/{event.nick}"
    return place.address_of(place.services.directory.actor(event.actor_id))


def _service(iq: Iq) -> str:
    try:
        return str(parse_jid(iq.payload.get("jid") or ""))
    except JidSyntaxError:
        raise Refused(BAD_REQUEST) from None


def _options(payload: Element) -> dict[str, str]:
    """Return the publish options that a device wants to be sent along, or that say how it is reached."""
    form = forms.submitted(payload)
    if form is None:
        return {}
    fields = forms.read(form)
    if forms.first(fields, forms.FORM_TYPE) != PUBLISH_OPTIONS or len(fields) > MAX_OPTIONS:
        raise Refused(BAD_REQUEST)
    options = {name: values[0] for name, values in fields.items() if values and name != forms.FORM_TYPE}
    if any(len(name) + len(value) > MAX_VALUE_CHARS for name, value in options.items()):
        raise Refused(BAD_REQUEST)
    return options


def _check(place: Place, options: dict[str, str]) -> None:
    """Refuse a registration here that could never work."""
    kind = options.get("type")
    types = place.waker.types if place.waker is not None else frozenset()
    if kind not in types:
        raise _unusable(f"type is one of {', '.join(sorted(types))}" if types else "there is no push service")
    if kind in ("fcm", "apns"):
        if not options.get("token"):
            raise _unusable("token is needed")
        return
    try:
        url = urlsplit(options.get("endpoint", ""))
        usable = url.scheme == "https" and bool(url.hostname) and url.username is None and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise _unusable("endpoint is an https address")
    if (len(_decoded(options, "p256dh")), len(_decoded(options, "auth"))) != (65, 16):
        raise _unusable("p256dh and auth are the keys of a push subscription")


def _decoded(options: dict[str, str], name: str) -> bytes:
    text = options.get(name, "").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _unusable(f"{name} is written in base64url") from None


def _unusable(text: str) -> Refused:
    return Refused(StanzaError(ErrorType.MODIFY, "not-acceptable", text[:1].upper() + text[1:] + "."))
