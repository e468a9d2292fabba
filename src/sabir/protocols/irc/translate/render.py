"""Events as lines, once for each variant of capabilities: what IRC clients are shown of messages.

A variant is a number made of the bits below, so that connections with the same needs share the same bytes.
"""

from datetime import UTC, datetime
from typing import Final

from sabir.core.model import content as words
from sabir.core.model.content import Content, MultiPart, Part, PartSemantics, SinglePart
from sabir.core.model.event import Event, Kind
from sabir.core.model.plain import media_type, plain_text, reactions
from sabir.protocols.irc.codec.lines import MAX_TEXT_BYTES, clip, split_text, without_breaks
from sabir.protocols.irc.codec.tags import escape
from sabir.protocols.irc.translate.accept import DRAFT_REPLY, EDIT, REACT, REPLY, UNREACT, msgid_of
from sabir.protocols.irc.translate.formatting import Name, as_spoiler, from_markdown
from sabir.protocols.irc.translate.native import Pieces, Said, from_native
from sabir.protocols.irc.types.capabilities import (
    ACCOUNT_TAG,
    BATCH,
    MESSAGE_REDACTION,
    MESSAGE_TAGS,
    MULTILINE,
    SERVER_TIME,
)

TAGS: Final = 1
TIME: Final = 2
ACCOUNT: Final = 4
LINES: Final = 8
REDACTIONS: Final = 16

REMOVED: Final = 32
"""The flag of an event that takes a reaction back (`core.services.relating.REMOVED`)."""


def _as_written(label: str, uri: str) -> str:
    return label


def variant_of(caps: int) -> int:
    """Return the variant for a set of capabilities."""
    variant = 0
    if caps & MESSAGE_TAGS:
        variant = TAGS | TIME | ACCOUNT  # IRCv3 message-tags: such a client takes any tag
    if caps & SERVER_TIME:
        variant |= TIME
    if caps & ACCOUNT_TAG:
        variant |= ACCOUNT
    if caps & MULTILINE and caps & BATCH:
        variant |= LINES
    if caps & MESSAGE_REDACTION:
        variant |= REDACTIONS
    return variant


class Scene:
    """Who says it where, as IRC writes it: `nick!user@host`, the account (empty for a guest), the target."""

    def __init__(self, source: str, account: str, target: str) -> None:
        self.source = source
        self.account = account
        self.target = target


class Quote:
    """What is replied to, for readers who cannot be told by a tag."""

    def __init__(self, nick: str, text: str) -> None:
        self.nick = nick
        self.text = text


def said_of(event: Event, content: Content | None, name: Name = _as_written) -> Said | None:
    """Return what IRC says for `event`: its own form, or one made of `content`; None: it has no words.

    `name` says how people are called here, for mentions.
    """
    if content is None:
        said = from_native(event.native)
        return _edited(said, event) if event.kind == Kind.EDIT else said
    if event.kind == Kind.MESSAGE:
        return said_of_message(content, name)
    if event.kind == Kind.EDIT:
        return _edited(said_of_message(content, name), event)
    if event.kind == Kind.REACTION:
        return _reaction(event, content)
    if event.kind == Kind.DELETE:
        return Said("", "REDACT", (("", False),))
    return None


def rows_of(
    event: Event, said: Said, scene: Scene, variant: int, quote: Quote | None, most_lines: int
) -> list[tuple[str, str]]:
    """Return the lines of `event` as (tags, text), none where the reader could not understand them.

    A multi-line message comes as its single lines, at most `most_lines` of them: with `LINES` in the
    variant the caller sends more than one as a `draft/multiline` batch (see `render`).
    """
    command = said.command
    if command == "REDACT":
        if not variant & REDACTIONS or not event.target_id:
            return []
        text = f":{scene.source} REDACT {scene.target} {msgid_of(event.target_id)}"
        reason = said.pieces[0][0]
        return [(_tags(event, scene, variant, "", ""), f"{text} :{reason}" if reason else text)]
    head = f":{scene.source} {command} {scene.target}"
    if command == "TAGMSG":
        if not variant & TAGS:
            return []
        return [(_tags(event, scene, variant, said.tags, msgid_of(event.event_id)), head)]
    pieces = _pieces(said, scene, variant, quote, most_lines)
    first = _tags(event, scene, variant, said.tags, msgid_of(event.event_id))
    later = _tags(event, scene, variant, "", "") if len(pieces) > 1 else ""
    # IRCv3 multiline: only the first line of a fallback has the id.
    return [(later if at else first, f"{head} :{text}") for at, (text, _) in enumerate(pieces)]


def render(
    event: Event, said: Said, scene: Scene, variant: int, quote: Quote | None, most_lines: int
) -> bytes:
    """Return the lines of `event` for one variant, ready to be sent; empty where there is nothing to send."""
    if variant & LINES and said.command in ("PRIVMSG", "NOTICE"):
        pieces = _whole_pieces(said, scene)
        if len(pieces) > 1:
            return _batch(event, said, scene, variant, pieces)
    rows = rows_of(event, said, scene, variant, quote, most_lines)
    return "".join([_line(tags, text) for tags, text in rows]).encode(errors="replace")


def batch_rows(event: Event, said: Said, scene: Scene, variant: int, reference: str) -> list[tuple[str, str]]:
    """Return a multi-line message as the rows of a `draft/multiline` batch; nothing for a single line."""
    if not variant & LINES or said.command not in ("PRIVMSG", "NOTICE"):
        return []
    pieces = _whole_pieces(said, scene)
    if len(pieces) < 2:
        return []
    opening = _tags(event, scene, variant, said.tags, msgid_of(event.event_id))
    rows = [(opening, f":{scene.source} BATCH +{reference} draft/multiline {scene.target}")]
    for text, concat in pieces:
        tags = f"batch={reference};draft/multiline-concat" if concat else f"batch={reference}"
        rows.append((tags, f":{scene.source} {said.command} {scene.target} :{text}"))
    rows.append(("", f":{scene.source} BATCH -{reference}"))
    return rows


def time_tag(at_ms: int) -> str:
    """Return the `time` tag (IRCv3 server-time)."""
    return "time=" + timestamp(at_ms)


def timestamp(at_ms: int) -> str:
    """Return `at_ms` as `YYYY-MM-DDThh:mm:ss.sssZ`."""
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{at.strftime('%Y-%m-%dT%H:%M:%S')}.{at_ms % 1000:03d}Z"


def sender_tags(at_ms: int, account: str, variant: int) -> str:
    """Return the tags of a line that is no message: when, and by which account."""
    parts: list[str] = []
    if variant & TIME:
        parts.append(time_tag(at_ms))
    if variant & ACCOUNT and account:
        parts.append("account=" + escape(account))
    return ";".join(parts)


def plain_line(tags: str, text: str) -> bytes:
    """Return one line, ready to be sent."""
    return _line(tags, text).encode(errors="replace")


def _line(tags: str, text: str) -> str:
    text = clip(without_breaks(text))
    return f"@{tags} {text}\r\n" if tags else f"{text}\r\n"


def _tags(event: Event, scene: Scene, variant: int, said_tags: str, msgid: str) -> str:
    if not variant:
        return ""
    parts: list[str] = []
    if variant & TIME:
        parts.append(time_tag(event.at_ms))
    if variant & TAGS and msgid:
        parts.append("msgid=" + msgid)
    if variant & ACCOUNT and scene.account:
        parts.append("account=" + escape(scene.account))
    # IRCv3 message-tags: ours come first, lest they be cut off.
    if variant & TAGS and said_tags:
        parts.append(said_tags)
    return ";".join(parts)


def _batch(event: Event, said: Said, scene: Scene, variant: int, pieces: Pieces) -> bytes:
    # The reference only has to be unlike that of other open batches of the connection.
    rows = batch_rows(event, said, scene, variant, msgid_of(event.event_id)[-12:])
    return "".join([_line(tags, text) for tags, text in rows]).encode(errors="replace")


def _room_for_text(said: Said, scene: Scene) -> int:
    head = len(f":{scene.source} {said.command} {scene.target} :".encode())
    return max(64, MAX_TEXT_BYTES - head)


def _whole_pieces(said: Said, scene: Scene) -> Pieces:
    """Return the pieces of a message, those that do not fit into a line cut further."""
    limit = _room_for_text(said, scene)
    if len(said.pieces) == 1 and len(said.pieces[0][0]) * 4 <= limit:
        return said.pieces
    whole: list[tuple[str, bool]] = []
    for text, concat in said.pieces:
        if text.startswith("\x01ACTION ") and len(text.encode()) > limit:
            parts = [
                f"\x01ACTION {part}\x01" for part in split_text(text[8:].removesuffix("\x01"), limit - 9)
            ]
        else:
            parts = split_text(text, limit)
        whole.append((parts[0], concat))
        whole.extend([(part, True) for part in parts[1:]])
    return tuple(whole)


def _pieces(said: Said, scene: Scene, variant: int, quote: Quote | None, most_lines: int) -> Pieces:
    """Return the lines for a reader without `draft/multiline`: no blank ones, not too many, maybe a quote."""
    pieces = [piece for piece in _whole_pieces(said, scene) if piece[0]] or [("", False)]
    if len(pieces) > most_lines:
        note = f"[... {len(pieces) - most_lines} more lines: a client with draft/multiline shows them]"
        pieces = [*pieces[:most_lines], (note, False)]
    if quote is not None and not variant & TAGS:
        quoted = quote.text.partition("\n")[0]
        shown = f"> {quote.nick}: {clip(quoted, 120)}"
        pieces.insert(0, (shown, False))
    return tuple(pieces)


def said_of_message(content: Content, name: Name = _as_written) -> Said:
    """Return a message as IRC says it, without regard to edits."""
    text = _rich_text(content, name)
    if words.FORWARD in content.extensions:
        text = f"[forwarded] {text}"
    if words.SPOILER in content.extensions:
        text = as_spoiler(text)
    command = "NOTICE" if words.is_notice(content) else "PRIVMSG"
    lines = text.split("\n")
    if words.is_emote(content):
        lines = [f"\x01ACTION {line}\x01" for line in lines if line]
    tags = ""
    if content.in_reply_to is not None:
        tags = _reply_tags(content.in_reply_to)
    return Said(tags, command, tuple([(without_breaks(line), False) for line in lines]) or (("", False),))


def _rich_text(content: Content, name: Name) -> str:
    """Return the text with formatting codes if it is given in Markdown, else the best plain text."""
    source = _markdown(content.body)
    if source is None or words.encryption_scheme(content) is not None:
        return plain_text(content)
    return from_markdown(source, name)


def _markdown(part: Part) -> str | None:
    if isinstance(part, SinglePart) and media_type(part.content_type) == "text/markdown":
        return part.content.decode(errors="replace")
    if isinstance(part, MultiPart) and part.semantics is PartSemantics.CHOOSE_ONE:
        for choice in part.parts:
            found = _markdown(choice)
            if found is not None:
                return found
    return None


def _edited(said: Said, event: Event) -> Said:
    """Return an edit as IRC tells of it (PROTOCOLS 3.1): a reply to the first version, and words for it."""
    tags = said.tags
    if event.target_id:
        target = msgid_of(event.target_id)
        if EDIT not in tags:
            own = f"{EDIT}={target}"
            tags = f"{tags};{own}" if tags else own
        if REPLY not in tags:
            tags = f"{_reply_tags(event.target_id)};{tags}"
    pieces = list(said.pieces)
    pieces[0] = (f"* {pieces[0][0]}", False)
    text, concat = pieces[-1]
    pieces[-1] = (f"{text} (edited)", concat)
    return Said(tags, said.command, tuple(pieces))


def _reaction(event: Event, content: Content) -> Said | None:
    target = event.target_id or content.in_reply_to or b""
    emoji = event.relation_key or next(iter(reactions(content)), "")
    if not target or not emoji:
        return None
    tag = UNREACT if event.flags & REMOVED else REACT
    return Said(f"{_reply_tags(target)};{tag}={escape(emoji)}", "TAGMSG", (("", False),))


def _reply_tags(target: bytes) -> str:
    msgid = msgid_of(target)
    return f"{REPLY}={msgid};{DRAFT_REPLY}={msgid}"
