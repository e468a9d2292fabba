"""What a client says, made into drafts for the log: classified, and without what it could forge.

Kept of its tags: the client-only ones. Anything else (`account`, `time`, `msgid`, `bot`, `batch`, `label`)
is ours to say. `+reply` is kept under both its names (IRCv3 reply, and the draft that older clients know);
`+typing` is a signal.
"""

from typing import Final

from sabir.core.model.event import EMOTE, NOTICE, UNREAD, Draft, Kind
from sabir.core.model.signals import TypingState
from sabir.protocols.irc.codec.tags import format_tags
from sabir.protocols.irc.translate.native import Pieces, Said, to_native

PROTOCOL: Final = "irc"
REPLY: Final = "+reply"
DRAFT_REPLY: Final = "+draft/reply"
REACT: Final = "+draft/react"
UNREACT: Final = "+draft/unreact"
EDIT: Final = "+sabir.im/edit"
TYPING: Final = "+typing"
MAX_REACTION_BYTES: Final = 64

_ID_BYTES: Final = 16
_TYPING: Final = {
    "active": TypingState.COMPOSING,
    "paused": TypingState.PAUSED,
    "done": TypingState.ACTIVE,
}


def msgid_of(event_id: bytes) -> str:
    """Return the `msgid` tag of an event."""
    return event_id.hex()


def event_id_of(msgid: str) -> bytes:
    """Return the event id behind a `msgid`, or nothing if it is none of ours."""
    if len(msgid) != 2 * _ID_BYTES or not msgid.isascii():
        return b""
    try:
        return bytes.fromhex(msgid)
    except ValueError:
        return b""


def action_of(text: str) -> str | None:
    """Return what a CTCP ACTION says, or None if `text` is none."""
    if not text.startswith("\x01ACTION"):
        return None
    return text[7:].removesuffix("\x01").removeprefix(" ")


def is_ctcp(text: str) -> bool:
    """Whether `text` is CTCP other than ACTION: bytes between two clients, which are not history."""
    return text.startswith("\x01") and not text.startswith(("\x01ACTION ", "\x01ACTION\x01"))


def typing_of(tags: dict[str, str]) -> TypingState | None:
    """Return the typing notification in `tags` (IRCv3 typing)."""
    return _TYPING.get(tags.get(TYPING, ""))


def typing_tag(state: TypingState) -> str:
    """Return the tag that tells of `state`."""
    match state:
        case TypingState.COMPOSING:
            return "+typing=active"
        case TypingState.PAUSED:
            return "+typing=paused"
        case _:
            return "+typing=done"


def reaction_of(tags: dict[str, str]) -> tuple[str, bool] | None:
    """Return (reaction, is it taken back) if `tags` hold one (IRCv3 react): only in reply, never both."""
    react, unreact = tags.get(REACT, ""), tags.get(UNREACT, "")
    if bool(react) == bool(unreact) or not reply_of(tags):
        return None
    value = react or unreact
    return (value, bool(unreact)) if len(value.encode()) <= MAX_REACTION_BYTES else None


def reply_of(tags: dict[str, str]) -> str:
    """Return the `msgid` that a message replies to, or nothing."""
    return tags.get(REPLY) or tags.get(DRAFT_REPLY, "")


def draft_of_message(
    command: str, tags: dict[str, str], pieces: Pieces, resource: str, is_bot: bool
) -> Draft:
    """Return the draft of a PRIVMSG, NOTICE or TAGMSG: a message, an edit, or a change of reactions."""
    first = pieces[0][0] if pieces else ""
    kept = _kept_tags(tags, is_bot)
    reaction = reaction_of(tags)
    replied = event_id_of(reply_of(tags))
    edited = event_id_of(tags.get(EDIT, ""))
    if reaction is not None:
        native = to_native(Said(kept, command, pieces or (("", False),)))
        return Draft(
            PROTOCOL,
            native,
            kind=Kind.REACTION,
            flags=0,
            target_id=replied,
            resource=resource,
            relation_key=reaction[0],
        )
    kind, flags, target = Kind.MESSAGE, UNREAD, replied
    if edited:
        kind, flags, target = Kind.EDIT, 0, edited
        pieces = _without_edit_marks(pieces)
    if command == "NOTICE":
        flags |= NOTICE
    elif action_of(first) is not None:
        flags |= EMOTE
    native = to_native(Said(kept, command, pieces))
    return Draft(PROTOCOL, native, kind=kind, flags=flags, target_id=target, resource=resource)


def draft_of_redaction(msgid: str, reason: str, resource: str) -> Draft:
    """Return the draft of a REDACT (IRCv3 message-redaction)."""
    native = to_native(Said("", "REDACT", ((reason, False),)))
    return Draft(PROTOCOL, native, kind=Kind.DELETE, flags=0, target_id=event_id_of(msgid), resource=resource)


def _kept_tags(tags: dict[str, str], is_bot: bool) -> str:
    kept = {key: value for key, value in tags.items() if key.startswith("+") and key != TYPING}
    replied = reply_of(kept)
    if replied:
        kept[REPLY] = kept[DRAFT_REPLY] = replied
    if is_bot:
        kept["bot"] = ""  # IRCv3 bot-mode
    return format_tags(kept)


def _without_edit_marks(pieces: Pieces) -> Pieces:
    """Return `pieces` without the signs that tell readers of an edit, if the client has put them."""
    (first, _), (last, concat) = pieces[0], pieces[-1]
    if not (first.startswith("* ") and last.endswith(" (edited)")):
        return pieces
    if len(pieces) == 1:
        return ((first[2:].removesuffix(" (edited)"), False),)
    return ((first[2:], False), *pieces[1:-1], (last.removesuffix(" (edited)"), concat))
