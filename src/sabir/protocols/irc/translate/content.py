"""Canonical content of what arrived by IRC."""

import re
from itertools import islice
from typing import Final

import msgspec

from sabir.core.model import content as words
from sabir.core.model.actor import Actor
from sabir.core.model.content import Content, SinglePart
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event
from sabir.core.services.people import People
from sabir.protocols.irc.codec.tags import parse_tags
from sabir.protocols.irc.translate.accept import EDIT, action_of, event_id_of, reaction_of, reply_of
from sabir.protocols.irc.translate.formatting import has_codes, plain, spoiler_of, to_markdown
from sabir.protocols.irc.translate.native import Said, from_native

_NICKS: Final = re.compile(r"[^\s,:;!?@()\"'<>.]+(?:\.[^\s,:;!?@()\"'<>.]+)*")
_MOST_WORDS: Final = 400


class IrcTranslator:
    """Derives the content of events that IRC clients posted."""

    def __init__(self, people: People) -> None:
        self._people = people

    def content_of(self, event: Event) -> Content:
        """Return the content of `event`."""
        found = content_of_said(from_native(event.native), event.target_id)
        body = found.body
        conversation = self._people.conversation(event.conversation_id)
        if conversation is None or not conversation.is_room or words.is_emote(found):
            return found
        if not isinstance(body, SinglePart) or body.content_type != words.PLAIN or words.is_reaction(found):
            return found
        text = body.content.decode(errors="replace")
        rich = self._people.mentioning(text, self._mentions(conversation, text))
        if rich is None:
            return found
        return msgspec.structs.replace(found, body=words.markdown(rich, plain=text).body)

    def _mentions(self, conversation: Conversation, text: str) -> list[tuple[int, int, Actor]]:
        """Return the nicks in a text: on IRC that is what a mention is."""
        found: list[tuple[int, int, Actor]] = []
        for word in islice(_NICKS.finditer(text), _MOST_WORDS):
            actor = self._people.named(conversation, word.group().lower())
            if actor is not None:
                found.append((word.start(), word.end(), actor))
        return found


def content_of_said(said: Said, target_id: bytes = b"") -> Content:
    """Return the content of `said`; `target_id` is what it is about where the log knows it."""
    tags = parse_tags(said.tags)
    if said.command == "REDACT":
        return words.delete(target_id)
    replied = target_id or event_id_of(reply_of(tags))
    reaction = reaction_of(tags)
    if reaction is not None:
        emoji, is_taken_back = reaction
        # Which message brought the reaction is known to the log's relations, not to the client.
        return words.unreaction(replied, replied) if is_taken_back else words.reaction(replied, emoji)
    found = _body(said)
    edited = event_id_of(tags.get(EDIT, ""))
    if edited:
        found = words.edit(edited, found)
        replied = event_id_of(reply_of(tags))
        return found if replied in (b"", edited) else words.reply(replied, found)
    return words.reply(replied, found) if replied and reply_of(tags) else found


def _body(said: Said) -> Content:
    text = said.text()
    action = action_of(text)
    if action is not None:
        return words.emote(plain(action))
    hidden = spoiler_of(text)
    if hidden is not None:
        return words.extended(words.text(plain(hidden)), words.SPOILER, {"reason": ""})
    found = words.text(text)
    if has_codes(text.replace("\n", "")):
        rich, simple = to_markdown(text), plain(text)
        found = words.text(simple) if rich == simple else words.markdown(rich, plain=simple)
    if said.command == "NOTICE":
        found = words.extended(found, words.KIND, words.NOTICE)
    return found
