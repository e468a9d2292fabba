"""Reports of spam and abuse, sent with a block (XEP-0377)."""

from dataclasses import dataclass
from typing import Final

from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.model.signals import Reported
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import BAD_REQUEST, Refused
from sabir.protocols.xmpp.features.context import Context
from sabir.protocols.xmpp.jid import JidSyntaxError, parse_jid
from sabir.protocols.xmpp.translate import event_id_of
from sabir.wire.xml import Element, escape_text

NAMESPACE: Final = "urn:xmpp:reporting:1"
MOST: Final = 10
"""Reports in one request."""
MOST_IDS: Final = 20
MOST_REASON_CHARS: Final = 200

_STANZA_ID: Final = "urn:xmpp:sid:0"


@dataclass(frozen=True, slots=True)
class Report:
    """One report: of whom, why, and which messages show it; `room` is where, if that was in one of ours."""

    reported: str
    reason: str
    text: str
    messages: list[Event]
    room: Conversation | None


def read(context: Context, block: Element) -> list[Report]:
    """Return the reports in a request to block.

    Raises:
        Refused: one gives no reason (XEP-0377 §4), or there are too many.
    """
    found: list[Report] = []
    for item in block.find_all("item"):
        report = item.find("report", NAMESPACE)
        if report is not None:
            reason = report.get("reason") or ""
            if not reason or len(reason) > MOST_REASON_CHARS or len(found) == MOST:
                raise Refused(BAD_REQUEST)
            found.append(_read(context, item.get("jid") or "", reason, report))
    return found


def _read(context: Context, address: str, reason: str, report: Element) -> Report:
    services = context.place.services
    messages: list[Event] = []
    room: Conversation | None = None
    for named in report.find_all("stanza-id", _STANZA_ID)[:MOST_IDS]:
        event = services.history.find(event_id_of(named.get("id") or ""))
        if event is not None:
            messages.append(event)
            conversation = services.history.conversation(event)
            if conversation is not None and conversation.is_room:
                room = conversation
    if room is None:
        room = _room_of(context, address)
    return Report(address, reason, report.child_text("text") or "", messages, room)


def _room_of(context: Context, address: str) -> Conversation | None:
    try:
        jid = parse_jid(address)
    except JidSyntaxError:
        return None
    if jid.domain != context.place.rooms_domain or not jid.local:
        return None
    return context.place.services.rooms.find(jid.local)


def file(context: Context, report: Report) -> None:
    """Keep a report; the block counts, whatever becomes of it (XEP-0377 §6)."""
    context.place.services.reports.file(
        context.session,
        report.reported,
        report.reason,
        report.text,
        report.messages,
        report.room,
        _ignore,
        _ignore,
    )


def show(context: Context, signal: Reported) -> None:
    """Tell a moderator of a report, as the room itself."""
    address = f"{signal.conversation.name}@{context.place.rooms_domain}"
    why = signal.reason.rpartition(":")[2]
    text = f"{signal.reported} was reported for {why}." + (f" {signal.text}" if signal.text else "")
    start = f"<message type='headline'{attribute('from', address)}{attribute('to', str(context.jid))}>"
    context.send(f"{start}<body>{escape_text(text)}</body></message>".encode())


def _ignore(*outcome: object) -> None:
    """The outcome of the block is the answer."""
