"""What IRC clients say as canonical content, and canonical content as IRC lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.fakes import World

from sabir.core.model import content as words
from sabir.core.model.content import Content
from sabir.core.model.conversation import Conversation, ConversationKind, Role, RoomConfig
from sabir.core.model.event import EMOTE, NOTICE, UNREAD, Event, Kind
from sabir.core.model.ids import ActorId, ConversationId
from sabir.core.model.plain import plain_text
from sabir.core.model.signals import TypingState
from sabir.protocols.irc.translate import accept
from sabir.protocols.irc.translate.content import IrcTranslator, content_of_said
from sabir.protocols.irc.translate.names import channel_of, name_of, room_of
from sabir.protocols.irc.translate.native import Said, from_native, to_native
from sabir.protocols.irc.translate.render import (
    LINES,
    REDACTIONS,
    TAGS,
    Quote,
    Scene,
    render,
    said_of,
    said_of_message,
    timestamp,
)
from sabir.protocols.irc.translate.rooms import Mode, configured, difference, letter_of, modes_of, written

ID = bytes(range(16))
SCENE = Scene("ada!ada@here", "ada", "#x")
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=30)


def event(
    kind: int = Kind.MESSAGE, native: bytes = b"", protocol: str = "xmpp", target: bytes = b""
) -> Event:
    return Event(
        7, ID, ConversationId(1), 1, 1, 1, 1, ActorId(1), "ada", kind, 0, 3 if target else 0, target, 1500, 0,
        protocol, native, b"",
    )  # fmt: skip


@given(st.lists(st.tuples(texts, st.booleans()), min_size=1, max_size=4), st.sampled_from(["", "+a=b"]))
def test_the_stored_form_survives_a_round_trip(pieces: list[tuple[str, bool]], tags: str) -> None:
    said = Said(tags, "PRIVMSG", ((pieces[0][0], False), *pieces[1:]))

    assert from_native(to_native(said)) == said


def content_of(text: str, tags: str = "", command: str = "PRIVMSG") -> Content:
    return content_of_said(Said(tags, command, ((text, False),)))


def test_words_become_content() -> None:
    other = f"+reply={ID.hex()}"

    assert content_of("hi") == words.text("hi")
    assert content_of("\x01ACTION waves\x01") == words.emote("waves")
    assert content_of("hi", command="NOTICE") == words.extended(words.text("hi"), words.KIND, words.NOTICE)
    assert content_of("a \x02b\x02") == words.markdown("a **b**", plain="a b")
    assert content_of("hi", other) == words.reply(ID, words.text("hi"))
    assert content_of("hi", f"+sabir.im/edit={ID.hex()}") == words.edit(ID, words.text("hi"))
    assert content_of("", f"{other};+draft/react=👍", "TAGMSG") == words.reaction(ID, "👍")
    assert words.is_unreaction(content_of("", f"{other};+draft/unreact=👍", "TAGMSG"))
    assert content_of("hi", "+reply=nonsense") == words.text("hi")
    assert words.SPOILER in content_of("\x0301,01boo\x03").extensions
    assert IrcTranslator(World().services.people).content_of(
        event(Kind.DELETE, b"\nREDACT\n", target=ID)
    ) == words.delete(ID)


def test_several_lines_are_one_text() -> None:
    said = Said("", "PRIVMSG", (("one", False), ("two ", False), ("three", True)))

    assert plain_text(content_of_said(said)) == "one\ntwo three"


@pytest.mark.parametrize(
    ("tags", "kind", "flags", "target"),
    [
        ({}, Kind.MESSAGE, UNREAD, b""),
        ({"+reply": ID.hex()}, Kind.MESSAGE, UNREAD, ID),
        ({"+sabir.im/edit": ID.hex()}, Kind.EDIT, 0, ID),
        ({"+reply": ID.hex(), "+draft/react": "x"}, Kind.REACTION, 0, ID),
        ({"+draft/react": "x"}, Kind.MESSAGE, UNREAD, b""),
        ({"+reply": ID.hex(), "+draft/react": "x", "+draft/unreact": "x"}, Kind.MESSAGE, UNREAD, ID),
        ({"+reply": ID.hex(), "+draft/react": "x" * 65}, Kind.MESSAGE, UNREAD, ID),
    ],
)
def test_drafts_are_classified(tags: dict[str, str], kind: int, flags: int, target: bytes) -> None:
    draft = accept.draft_of_message("PRIVMSG", tags, (("hi", False),), "r", is_bot=False)

    assert (draft.kind, draft.flags, draft.target_id) == (kind, flags, target)


def test_what_could_be_forged_is_stripped() -> None:
    tags = {
        "account": "root",
        "time": "0",
        "msgid": "0",
        "bot": "",
        "batch": "1",
        "+typing": "active",
        "+x": "1",
    }

    draft = accept.draft_of_message("NOTICE", tags, (("hi", False),), "r", is_bot=False)
    bot = accept.draft_of_message("PRIVMSG", {}, (("\x01ACTION x\x01", False),), "r", is_bot=True)

    assert (draft.native, draft.flags) == (b"+x=1\nNOTICE\nhi", UNREAD | NOTICE)
    assert (bot.native, bot.flags) == (b"bot\nPRIVMSG\n\x01ACTION x\x01", UNREAD | EMOTE)


def test_the_signs_of_an_edit_are_not_stored() -> None:
    tags = {"+sabir.im/edit": ID.hex()}
    one = accept.draft_of_message("PRIVMSG", tags, (("* hi (edited)", False),), "r", is_bot=False)
    two = accept.draft_of_message("PRIVMSG", tags, (("* a", False), ("b (edited)", False)), "r", is_bot=False)
    none = accept.draft_of_message("PRIVMSG", tags, (("* hi", False),), "r", is_bot=False)

    assert from_native(one.native).text() == "hi"
    assert from_native(two.native).text() == "a\nb"
    assert from_native(none.native).text() == "* hi"


def test_ids_typing_and_ctcp_are_recognised() -> None:
    assert accept.event_id_of(accept.msgid_of(ID)) == ID
    assert accept.event_id_of("zz" * 16) == accept.event_id_of("00") == b""
    assert [accept.typing_of({"+typing": state}) for state in ("active", "paused", "x")] == [
        TypingState.COMPOSING,
        TypingState.PAUSED,
        None,
    ]
    assert [accept.typing_tag(state) for state in TypingState].count("+typing=done") == 3
    assert accept.is_ctcp("\x01VERSION\x01")
    assert not accept.is_ctcp("\x01ACTION x\x01")


@given(texts.filter(bool))
def test_a_text_is_the_same_after_crossing(text: str) -> None:
    said = said_of_message(words.text(text))

    assert said.text() == text


def shown(content: Content, variant: int, kind: int = Kind.MESSAGE, quote: Quote | None = None) -> list[str]:
    source = event(kind, target=content.in_reply_to or content.replaces or b"")
    said = said_of(source, content)
    assert said is not None
    return render(source, said, SCENE, variant, quote, 3).decode().splitlines()


def test_content_becomes_lines() -> None:
    head = ":ada!ada@here"
    assert shown(words.text("hi"), 0) == [f"{head} PRIVMSG #x :hi"]
    assert shown(words.emote("waves"), 0) == [f"{head} PRIVMSG #x :\x01ACTION waves\x01"]
    assert shown(words.markdown("**b**", plain="b"), 0) == [f"{head} PRIVMSG #x :\x02b\x02"]
    notice = words.extended(words.text("hi"), words.KIND, words.NOTICE)
    assert shown(notice, 0) == [f"{head} NOTICE #x :hi"]
    assert shown(words.reply(ID, words.text("yes")), 0, quote=Quote("bob", "who?\nme")) == [
        f"{head} PRIVMSG #x :> bob: who?",
        f"{head} PRIVMSG #x :yes",
    ]
    assert shown(words.edit(ID, words.text("hi")), 0, Kind.EDIT) == [f"{head} PRIVMSG #x :* hi (edited)"]
    assert shown(words.reaction(ID, "👍"), 0, Kind.REACTION) == []
    tagged = shown(words.reaction(ID, "👍"), TAGS, Kind.REACTION)
    assert tagged[0].endswith(f";+reply={ID.hex()};+draft/reply={ID.hex()};+draft/react=👍 {head} TAGMSG #x")
    assert shown(words.delete(ID), 0, Kind.DELETE) == []
    assert shown(words.delete(ID), REDACTIONS, Kind.DELETE) == [f"{head} REDACT #x {ID.hex()}"]
    assert shown(words.encrypted("OMEMO"), 0)[0].startswith(f"{head} PRIVMSG #x :[encrypted with OMEMO")


def test_a_long_message_is_cut_and_says_so_or_is_a_batch() -> None:
    lines = words.text("\n".join(["1", "2", "", "3", "4", "5"]))

    few = shown(lines, 0)
    batch = shown(lines, LINES)

    assert [line.rpartition(" :")[2] for line in few[:3]] == ["1", "2", "3"]
    assert "2 more lines" in few[3]
    assert len(batch) == 8


def test_times_are_written_as_the_specification_wants() -> None:
    assert timestamp(1_500) == "1970-01-01T00:00:01.500Z"


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_names_survive_a_round_trip(name: str) -> None:
    channel = channel_of(name)

    assert room_of(channel) == name
    assert name_of(channel[1:]) == name
    assert not set(" ,\r\n\0") & set(channel)


def test_configurations_are_modes() -> None:
    config = RoomConfig(moderated=True, key="k", max_attendees=5, listed=False)

    assert written(modes_of(config, shows_key=True)) == "+nmskl k 5"
    assert written(difference(config, RoomConfig(members_only=True))) == "-mskl+i k"
    assert configured(config, Mode(False, "m")) == RoomConfig(key="k", max_attendees=5, listed=False)
    assert configured(config, Mode(True, "q", "x")) is None
    for mode in (Mode(True, letter, "7") for letter in "imtskl"):
        changed = configured(RoomConfig(), mode)
        assert changed is not None
        assert [each.letter for each in difference(RoomConfig(), changed)] == [mode.letter]


def test_a_voice_is_shown_to_whom_it_was_given() -> None:
    room = Conversation(ConversationId(1), ID, ConversationKind.ROOM, "x")

    assert letter_of(room, 1, Role.MODERATOR) == "o"
    assert letter_of(room, 1, Role.MEMBER) == letter_of(room, 1, Role.VISITOR) == ""
