"""Where a client's stanza goes (RFC 6120 §10, RFC 6121 §8)."""

from sabir.protocols.xmpp.codec import attribute, element_of
from sabir.protocols.xmpp.errors import (
    BAD_REQUEST,
    JID_MALFORMED,
    SERVICE_UNAVAILABLE,
    Refused,
    stanza_error_for,
)
from sabir.protocols.xmpp.features import anonymous, chat, muc, outward, ping, presence, push, upload
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.pubsub import service as pubsub
from sabir.protocols.xmpp.features.table import TABLE
from sabir.protocols.xmpp.jid import Jid, JidSyntaxError, parse_jid_bytes
from sabir.protocols.xmpp.types import Stanza


def route(context: Context, stanza: Stanza) -> None:
    """Give a stanza to the feature that answers for its address; a refusal goes back to the client."""
    try:
        to = None if stanza.to is None else parse_jid_bytes(stanza.to)
    except JidSyntaxError:
        context.refuse(stanza, JID_MALFORMED)  # RFC 6120 §8.3.3.8
        return
    try:
        if stanza.name == b"message":
            _message(context, stanza, to)
        elif stanza.name == b"presence":
            _presence(context, stanza, to)
        else:
            _iq(context, stanza, to)
    except Refused as refused:
        context.refuse(stanza, refused.error)


def _message(context: Context, stanza: Stanza, to: Jid | None) -> None:
    if to is None:
        to = context.jid.bare  # RFC 6120 §10.3.1
    place = context.place
    if not place.is_ours(to.domain):
        outward.take_message(context, stanza, to)
    elif stanza.type == b"error":
        _answer(context, stanza, to)
    elif to.domain == place.domain and to.local:
        chat.take_message(context, stanza, to)
    elif to.domain == place.rooms_domain:
        muc.take_message(context, stanza, to)
    else:
        context.refuse(stanza, SERVICE_UNAVAILABLE)


def _presence(context: Context, stanza: Stanza, to: Jid | None) -> None:
    if stanza.type == b"error" and (to is None or context.place.is_ours(to.domain)):
        return
    if to is not None and to.domain == context.place.rooms_domain:
        muc.take_presence(context, stanza, to)
    elif to is not None and not context.place.is_ours(to.domain):
        outward.take_presence(context, stanza, to)
    elif to is None or to.domain == context.place.domain:
        presence.take_presence(context, stanza, to)  # services of the server have none


def _iq(context: Context, stanza: Stanza, to: Jid | None) -> None:
    if to is not None and not context.place.is_ours(to.domain):
        if stanza.type in (b"get", b"set") and not stanza.id:
            raise Refused(BAD_REQUEST)  # RFC 6120 §8.1.3
        outward.take_iq(context, stanza, to)
        return
    if stanza.type in (b"result", b"error"):
        if to is None or to == Jid("", context.place.domain):
            if not context.place.errands.answered(context.jid, stanza):
                context.place.capabilities.answered(context.jid, stanza)
        else:
            _answer(context, stanza, to)
        return
    payloads = element_of(stanza).elements()
    if stanza.type not in (b"get", b"set") or len(payloads) != 1 or not stanza.id:
        raise Refused(BAD_REQUEST)  # RFC 6120 §8.2.3
    iq = Iq(stanza, to, payloads[0], stanza.type == b"set")
    place = context.place
    if to is not None and to.domain == place.rooms_domain:
        muc.take_iq(context, iq)
    elif to is not None and to.domain == place.pubsub_domain:
        pubsub.take_iq(context, iq)
    elif to is not None and to.domain == place.push_domain:
        anonymous.check_own(context.actor)
        push.take_iq(context, iq)
    elif to is not None and to.domain == place.upload_domain:
        upload.take_iq(context, iq)
    elif to is not None and to.local and to.resource:
        context.run(lambda: _relay(context, stanza, to))
    else:
        _request(context, iq)


def _request(context: Context, iq: Iq) -> None:
    """Answer for the client's account, the server or another account."""
    anonymous.check_request(context.actor, iq.payload.namespace, iq.payload.name, is_set=iq.is_set)
    answer = TABLE.get((iq.payload.namespace, iq.payload.name))
    if answer is None:
        raise Refused(SERVICE_UNAVAILABLE)  # RFC 6120 §8.4
    if iq.to is None or iq.to == context.jid.bare:
        known = answer.own
    elif not iq.to.local:
        known = answer.server
    else:
        known = answer.others and context.place.services.accounts.find(iq.to.local) is not None
    handler = answer.set if iq.is_set else answer.get
    if not known or handler is None:
        raise Refused(SERVICE_UNAVAILABLE)
    if iq.is_set or handler is ping.ping:
        handler(context, iq)
        return
    found = handler

    def effect() -> None:
        try:
            found(context, iq)
        except Refused as refused:
            context.refuse(iq.stanza, refused.error)

    context.run(effect)


def _answer(context: Context, stanza: Stanza, to: Jid) -> None:
    """Pass an answer or an error on to whom it is for; nobody is told if that fails."""
    place = context.place
    if to.domain == place.rooms_domain:
        muc.take_answer(context, stanza, to)
    elif to.domain == place.domain and to.local and to.resource:
        context.run(lambda: _relay(context, stanza, to))


def _relay(context: Context, stanza: Stanza, to: Jid) -> None:
    """Give a stanza to one device, as it came (RFC 6121 §8.5.3)."""
    services = context.place.services
    account = services.accounts.find(to.local)
    sender = attribute("from", str(context.jid)).encode()
    payload = b"<" + stanza.name + sender + stanza.attributes + stanza.data[stanza.head : stanza.end]
    if account is None:
        context.refuse(stanza, SERVICE_UNAVAILABLE)
        return
    refusal = services.relays.to_device(context.session, account, to.resource, payload)
    if refusal is not None:
        context.refuse(stanza, stanza_error_for(refusal))
