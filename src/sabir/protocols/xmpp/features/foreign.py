"""What people said in other protocols, with what their messages are about looked up in the log."""

import msgspec

from sabir.core.model.content import Content
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import ENCRYPTED, Event, Kind
from sabir.core.model.plain import plain_text
from sabir.core.services import Services
from sabir.protocols.xmpp.features.context import Names
from sabir.protocols.xmpp.translate import Mentioned, Rendered, Target, origin_of_native, render, stanza_id_of


def foreign(place: Names, conversation: Conversation, event: Event) -> Rendered:
    """Return the children of the message that shows `event`, which arrived by another protocol."""
    services = place.services
    target = target_of(place, conversation, event)
    reactions: tuple[str, ...] = ()
    if event.kind == Kind.REACTION:
        reactions = tuple(services.messaging.reactions(event.target_seq, event.actor_id))
    content = _threaded(services, event, services.contents.of(event))
    return render(event, content, target, reactions, lambda uri: _mentioned(place, conversation, uri))


def _threaded(services: Services, event: Event, content: Content) -> Content:
    """Return the content in the thread of what it answers: other protocols know answers only (XEP-0201 §4.2)."""
    if content.topic_id or event.kind != Kind.MESSAGE or not event.target_seq:
        return content
    target = services.history.at(event.target_seq)
    if target is None or target.erased or target.flags & ENCRYPTED:
        return content
    thread = services.contents.of(target).topic_id
    return msgspec.structs.replace(content, topic_id=thread) if thread else content


def _mentioned(place: Names, conversation: Conversation, uri: str) -> Mentioned | None:
    """Return somebody whom a message mentions, as readers of the conversation know them."""
    services = place.services
    actor = services.people.of_uri(conversation, uri)
    if actor is None:
        return None
    if not conversation.is_room:
        return Mentioned(actor.name, "", f"{actor.name}@{place.domain}")
    attendee = conversation.attendees.get(actor.id)
    member = conversation.members.get(actor.id)
    nick = attendee.nick if attendee is not None else member.nick if member is not None else actor.name
    address = f"{conversation.name}@{place.rooms_domain}/{nick}"
    return Mentioned(nick, services.rooms.occupant_id(conversation, actor), address)


def target_of(place: Names, conversation: Conversation, event: Event) -> Target | None:
    """Return what an event is about, as clients of XMPP know it."""
    services = place.services
    target = services.history.at(event.target_seq) if event.target_seq else None
    if target is not None and target.kind == Kind.EDIT and target.target_seq:
        # XEP-0444 §4, XEP-0461 §3: versions are named by the first one.
        target = services.history.at(target.target_seq) or target
    if target is None:
        return None
    first_id = message_id_of(target)
    # XEP-0444 §4.2, XEP-0461 §4.1, XEP-0424 §5.1: in rooms the id that the room gave, else that of the sender.
    reference = stanza_id_of(target.event_id) if conversation.is_room else first_id
    return Target(
        reference=reference,
        first_id=first_id,
        author=_author(place, conversation, target),
        text=_text(services, target) if event.kind == Kind.MESSAGE else "",
    )


def message_id_of(event: Event) -> str:
    """Return the `id` of the message that shows an event: the sender's own, or ours where there was none."""
    own = ""
    if event.protocol == "xmpp":
        own = event.native_id.decode(errors="replace")
        if not own and not event.erased:
            own = origin_of_native(event.native)
    return own or stanza_id_of(event.event_id)


def _author(place: Names, conversation: Conversation, event: Event) -> str:
    if conversation.is_room:
        return f"{conversation.name}@{place.rooms_domain}/{event.nick}"
    return place.address_of(place.services.directory.actor(event.actor_id))


def _text(services: Services, event: Event) -> str:
    if event.erased or event.flags & ENCRYPTED:
        return ""
    return plain_text(services.contents.of(event))
