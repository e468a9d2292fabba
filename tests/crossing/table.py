"""The table: what is done in one protocol, and what a person in another one must see.

A row says what everybody sees; `instead` says who sees an honest fallback, or nothing where nothing is due.
`beyond` lists the columns whose people have no words to do it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from tests.crossing.driver import Driver
from tests.crossing.irc import IrcDriver
from tests.crossing.mqtt import MqttDriver
from tests.crossing.words import (
    GONE,
    Banned,
    Corrected,
    InPieces,
    Invited,
    Joined,
    Kicked,
    Left,
    Observation,
    Reacted,
    Read,
    Retracted,
    Said,
    TopicIs,
    Typing,
    Unreacted,
    Where,
)
from tests.crossing.xmpp import XmppDriver

COLUMNS: Final[Mapping[str, Callable[[], Driver]]] = {
    "xmpp": XmppDriver,
    "irc": IrcDriver,
    "irc-plain": lambda: IrcDriver(caps=()),
    "mqtt": MqttDriver,
    "mqtt3": lambda: MqttDriver(version=3),
}
"""One client of each kind. `irc-plain` knows no capability: the reader of fallbacks. `mqtt3` speaks 3.1.1."""

ALL: Final = ("xmpp", "irc", "irc-plain", "mqtt")
"""Those that are crossed with each other."""
PAIRS: Final = (
    *[(writer, reader) for writer in ALL for reader in ALL],
    *[("mqtt3", "xmpp"), ("irc", "mqtt3"), ("mqtt", "mqtt3"), ("mqtt3", "mqtt")],
)
"""`mqtt3` has the same words as `mqtt` in another form: each protocol meets it once."""

GIVEN_MISSED: Final = ("xmpp", "irc-plain")
"""Those that are given what they missed; the others ask."""

WRITER: Final = "alice"
READER: Final = "bob"
GUEST: Final = "carol"

Expected = tuple[Observation | InPieces, ...]

NOTHING: Final[Expected] = ()

LONG: Final = " ".join([f"word{number}" for number in range(400)])
PICTURE: Final = "https://upload.example/abc/cat.png"
LINES: Final = "one\ntwo\n\nthree"


class Stage(Enum):
    """Who is where before the act."""

    TOGETHER = "the writer, who made the room, and the reader are in it"
    WITH_GUEST = "so is a third one, in a client of the reader's kind"
    READER_ALONE = "the reader, who made the room, is in it"
    WRITER_ALONE = "the writer, who made the room, is in it"
    READER_LATE = "so it is, and the reader comes in after the act"
    DIRECT = "nobody is in a room"
    TWO_DIRECT = "nor is anybody, and the writer has two clients, the second being the reader's"
    TWO_DEVICES = "the writer with two clients, the second being the reader's; a third one has spoken"


@dataclass(frozen=True, slots=True)
class Scene:
    """The writer, and where."""

    writer: Driver
    where: Where


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that people do."""

    name: str
    act: Callable[[Scene], Awaitable[None]]
    sees: Expected
    instead: Mapping[str, Expected] = field(default_factory=dict)
    beyond: frozenset[str] = frozenset()
    stage: Stage = Stage.TOGETHER
    before: tuple[str, ...] = ()
    """What the writer has said before, which the reader has seen."""
    asked: tuple[str, ...] = ()
    """What the reader has said then, which the writer has seen."""

    def expected(self, reader: str) -> Expected:
        """Return what the reader in the column `reader` must see."""
        return self.instead.get(reader, self.sees)


PLAIN: Final = "irc-plain"
NO_TAGS: Final = frozenset((PLAIN,))


async def _say(scene: Scene) -> None:
    await scene.writer.say(scene.where, "good morning")


async def _say_unicode(scene: Scene) -> None:
    await scene.writer.say(scene.where, "grüß dich 🎉 <b>&amp;</b> *so* :)")


async def _emote(scene: Scene) -> None:
    await scene.writer.emote(scene.where, "waves")


async def _reply(scene: Scene) -> None:
    await scene.writer.reply(scene.where, "shall we?", "yes, let us")


async def _correct(scene: Scene) -> None:
    await scene.writer.correct(scene.where, "helo", "hello")


async def _correct_twice(scene: Scene) -> None:
    await scene.writer.correct(scene.where, "helo", "hallo")
    await scene.writer.correct(scene.where, "helo", "hello")


async def _retract(scene: Scene) -> None:
    await scene.writer.retract(scene.where, "oops")


async def _react(scene: Scene) -> None:
    await scene.writer.react(scene.where, "we won", "👍")


async def _react_twice(scene: Scene) -> None:
    await scene.writer.react(scene.where, "we won", "👍")
    await scene.writer.react(scene.where, "we won", "🎉")


async def _unreact(scene: Scene) -> None:
    await scene.writer.react(scene.where, "we won", "👍")
    await scene.writer.unreact(scene.where, "we won", "👍")


async def _answer(scene: Scene) -> None:
    await scene.writer.reply(scene.where, "any news?", "none")


async def _react_to_question(scene: Scene) -> None:
    await scene.writer.react(scene.where, "any news?", "👍")


async def _unreact_to_question(scene: Scene) -> None:
    await scene.writer.react(scene.where, "any news?", "👍")
    await scene.writer.unreact(scene.where, "any news?", "👍")


async def _remove(scene: Scene) -> None:
    await scene.writer.remove(scene.where, "any news?")


async def _correct_reply(scene: Scene) -> None:
    await scene.writer.reply(scene.where, "any news?", "no")
    await scene.writer.correct(scene.where, "no", "none")


async def _retract_reply(scene: Scene) -> None:
    await scene.writer.reply(scene.where, "any news?", "no")
    await scene.writer.retract(scene.where, "no")


async def _mention(scene: Scene) -> None:
    await scene.writer.mention(scene.where, READER, "look at this")


async def _say_in_thread(scene: Scene) -> None:
    await scene.writer.say_in_thread(scene.where, "plans", "what about cats")


async def _share(scene: Scene) -> None:
    await scene.writer.share(scene.where, PICTURE)


async def _say_link(scene: Scene) -> None:
    await scene.writer.say(scene.where, PICTURE)


async def _say_strongly(scene: Scene) -> None:
    await scene.writer.say_strongly(scene.where, "this is ", "really", " it")


async def _notify(scene: Scene) -> None:
    await scene.writer.notify(scene.where, "backup done")


async def _invite(scene: Scene) -> None:
    await scene.writer.invite(scene.where, READER)


async def _type(scene: Scene) -> None:
    await scene.writer.type(scene.where)


async def _mark_read(scene: Scene) -> None:
    await scene.writer.mark_read(scene.where, "read me")


async def _set_topic(scene: Scene) -> None:
    await scene.writer.set_topic(scene.where, "all about cats")


async def _join(scene: Scene) -> None:
    await scene.writer.join(scene.where)


async def _leave(scene: Scene) -> None:
    await scene.writer.leave(scene.where)


async def _kick_guest(scene: Scene) -> None:
    await scene.writer.kick(scene.where, GUEST, "mind your words")


async def _kick_reader(scene: Scene) -> None:
    await scene.writer.kick(scene.where, READER, "mind your words")


async def _ban_guest(scene: Scene) -> None:
    await scene.writer.ban(scene.where, GUEST)


async def _say_lines(scene: Scene) -> None:
    await scene.writer.say(scene.where, LINES)


async def _say_long(scene: Scene) -> None:
    await scene.writer.say(scene.where, LONG)


def _kicked(name: str) -> Kicked:
    return Kicked(name, WRITER, "mind your words")


ROWS: Final = (
    Row("text", _say, (Said(WRITER, "good morning"),)),
    Row("any character", _say_unicode, (Said(WRITER, "grüß dich 🎉 <b>&amp;</b> *so* :)"),)),
    Row("emote", _emote, (Said(WRITER, "waves", emote=True),)),
    Row(
        "reply",
        _reply,
        (Said(WRITER, "yes, let us", reply_to="shall we?"),),
        {PLAIN: (Said(WRITER, "> alice: shall we?"), Said(WRITER, "yes, let us"))},
        beyond=NO_TAGS,
        before=("shall we?",),
    ),
    Row(
        "correction",
        _correct,
        (Corrected(WRITER, "helo", "hello"),),
        {PLAIN: (Said(WRITER, "* hello (edited)"),)},
        beyond=NO_TAGS,
        before=("helo",),
    ),
    Row(
        "second correction",
        _correct_twice,
        (Corrected(WRITER, "helo", "hallo"), Corrected(WRITER, "helo", "hello")),
        {PLAIN: (Said(WRITER, "* hallo (edited)"), Said(WRITER, "* hello (edited)"))},
        beyond=NO_TAGS,
        before=("helo",),
    ),
    Row(
        "retraction",
        _retract,
        (Retracted(WRITER, "oops"),),
        {PLAIN: NOTHING},
        beyond=NO_TAGS,
        before=("oops",),
    ),
    Row(
        "reaction",
        _react,
        (Reacted(WRITER, "we won", "👍"),),
        {PLAIN: NOTHING},
        beyond=NO_TAGS,
        before=("we won",),
    ),
    Row(
        "two reactions",
        _react_twice,
        (Reacted(WRITER, "we won", "👍"), Reacted(WRITER, "we won", "🎉")),
        {PLAIN: NOTHING},
        beyond=NO_TAGS,
        before=("we won",),
    ),
    Row(
        "reaction taken back",
        _unreact,
        (Reacted(WRITER, "we won", "👍"), Unreacted(WRITER, "we won", "👍")),
        {PLAIN: NOTHING},
        beyond=NO_TAGS,
        before=("we won",),
    ),
    Row(
        "reply to the reader",
        _answer,
        (Said(WRITER, "none", reply_to="any news?"),),
        {PLAIN: (Said(WRITER, "> bob: any news?"), Said(WRITER, "none"))},
        beyond=NO_TAGS,
        asked=("any news?",),
    ),
    Row(
        "reaction to the reader",
        _react_to_question,
        (Reacted(WRITER, "any news?", "👍"),),
        {PLAIN: NOTHING},
        beyond=NO_TAGS,
        asked=("any news?",),
    ),
    Row(
        "corrected reply",
        _correct_reply,
        (Said(WRITER, "no", reply_to="any news?"), Corrected(WRITER, "no", "none")),
        {PLAIN: (Said(WRITER, "> bob: any news?"), Said(WRITER, "no"), Said(WRITER, "* none (edited)"))},
        beyond=NO_TAGS,
        asked=("any news?",),
    ),
    Row(
        "retracted reply",
        _retract_reply,
        (Said(WRITER, "no", reply_to="any news?"), Retracted(WRITER, "no")),
        {PLAIN: (Said(WRITER, "> bob: any news?"), Said(WRITER, "no"))},
        beyond=NO_TAGS,
        asked=("any news?",),
    ),
    Row(
        "message taken away by a moderator",
        _remove,
        (Retracted(WRITER, "any news?"),),
        {PLAIN: NOTHING},
        beyond=NO_TAGS,
        asked=("any news?",),
    ),
    Row(
        "mention",
        _mention,
        (Said(WRITER, "bob: look at this", mentions=("bob",)),),
        {column: (Said(WRITER, "bob: look at this"),) for column in ("irc", PLAIN)},
    ),
    Row(
        "thread",
        _say_in_thread,
        (Said(WRITER, "what about cats", thread="plans"),),
        {column: (Said(WRITER, "what about cats"),) for column in ("irc", PLAIN)},
        beyond=frozenset(("irc", PLAIN)),
    ),
    Row(
        "file",
        _share,
        (Said(WRITER, PICTURE, file=PICTURE),),
        {column: (Said(WRITER, f"cat.png {PICTURE}"),) for column in ("irc", PLAIN)},
        beyond=frozenset(("irc", PLAIN)),
    ),
    Row("link", _say_link, (Said(WRITER, PICTURE),)),
    Row("bold", _say_strongly, (Said(WRITER, "this is *really* it"),)),
    Row(
        "notice",
        _notify,
        (Said(WRITER, "backup done", notice=True),),
        # What is said in a room has one type.
        {"xmpp": (Said(WRITER, "backup done"),)},
        beyond=frozenset(("xmpp",)),
    ),
    Row("typing", _type, (Typing(WRITER),), {PLAIN: NOTHING}, beyond=NO_TAGS),
    Row(
        "read marker",
        _mark_read,
        (Read(WRITER, "read me"),),
        {PLAIN: NOTHING},
        beyond=NO_TAGS,
        stage=Stage.TWO_DEVICES,
    ),
    Row("topic", _set_topic, (TopicIs(WRITER, "all about cats"),)),
    Row(
        "topic, found on coming in", _set_topic, (TopicIs(WRITER, "all about cats"),), stage=Stage.READER_LATE
    ),
    Row("invitation", _invite, (Invited(WRITER),), stage=Stage.WRITER_ALONE),
    Row("join", _join, (Joined(WRITER),), stage=Stage.READER_ALONE),
    Row("leave", _leave, (Left(WRITER),)),
    Row("kick", _kick_guest, (_kicked(GUEST),), stage=Stage.WITH_GUEST),
    Row("kick, seen by the kicked", _kick_reader, (_kicked(READER),)),
    Row(
        "ban",
        _ban_guest,
        (Banned(GUEST, WRITER),),
        # On IRC a ban puts nobody out by itself.
        {column: (Banned(GUEST, WRITER), Kicked(GUEST, WRITER, "Banned")) for column in ("irc", PLAIN)},
        stage=Stage.WITH_GUEST,
    ),
    Row(
        "several lines",
        _say_lines,
        (Said(WRITER, LINES),),
        {PLAIN: (Said(WRITER, "one"), Said(WRITER, "two"), Said(WRITER, "three"))},
        beyond=NO_TAGS,
    ),
    Row("long message", _say_long, (Said(WRITER, LONG),), {PLAIN: (InPieces(WRITER, LONG),)}, beyond=NO_TAGS),
    Row("direct message", _say, (Said(WRITER, "good morning"),), stage=Stage.DIRECT),
    Row("direct emote", _emote, (Said(WRITER, "waves", emote=True),), stage=Stage.DIRECT),
    Row(
        "direct reply",
        _reply,
        (Said(WRITER, "yes, let us", reply_to="shall we?"),),
        {PLAIN: (Said(WRITER, "> alice: shall we?"), Said(WRITER, "yes, let us"))},
        beyond=NO_TAGS,
        stage=Stage.DIRECT,
        before=("shall we?",),
    ),
    Row(
        "direct correction",
        _correct,
        (Corrected(WRITER, "helo", "hello"),),
        {PLAIN: (Said(WRITER, "* hello (edited)"),)},
        beyond=NO_TAGS,
        stage=Stage.DIRECT,
        before=("helo",),
    ),
    Row(
        "direct reaction",
        _react,
        (Reacted(WRITER, "we won", "👍"),),
        {PLAIN: NOTHING},
        beyond=NO_TAGS,
        stage=Stage.DIRECT,
        before=("we won",),
    ),
    Row(
        "direct reply to the reader",
        _answer,
        (Said(WRITER, "none", reply_to="any news?"),),
        {PLAIN: (Said(WRITER, "> bob: any news?"), Said(WRITER, "none"))},
        beyond=NO_TAGS,
        stage=Stage.DIRECT,
        asked=("any news?",),
    ),
    Row(
        "direct retraction",
        _retract,
        (Retracted(WRITER, "oops"),),
        {PLAIN: NOTHING},
        beyond=NO_TAGS,
        stage=Stage.DIRECT,
        before=("oops",),
    ),
    Row(
        "direct reaction to the reader, taken back",
        _unreact_to_question,
        (Reacted(WRITER, "any news?", "👍"), Unreacted(WRITER, "any news?", "👍")),
        {PLAIN: NOTHING},
        beyond=NO_TAGS,
        stage=Stage.DIRECT,
        asked=("any news?",),
    ),
    Row("direct bold", _say_strongly, (Said(WRITER, "this is *really* it"),), stage=Stage.DIRECT),
    Row(
        "direct notice",
        _notify,
        (Said(WRITER, "backup done", notice=True),),
        beyond=frozenset(("xmpp",)),
        stage=Stage.DIRECT,
    ),
    Row(
        "direct message of several lines",
        _say_lines,
        (Said(WRITER, LINES),),
        {PLAIN: (Said(WRITER, "one"), Said(WRITER, "two"), Said(WRITER, "three"))},
        beyond=NO_TAGS,
        stage=Stage.DIRECT,
    ),
    Row(
        "direct long message",
        _say_long,
        (Said(WRITER, LONG),),
        {PLAIN: (InPieces(WRITER, LONG),)},
        beyond=NO_TAGS,
        stage=Stage.DIRECT,
    ),
    Row(
        "direct read marker",
        _mark_read,
        (Read(WRITER, "read me"),),
        {PLAIN: NOTHING},
        beyond=NO_TAGS,
        stage=Stage.TWO_DIRECT,
    ),
    Row("direct typing", _type, (Typing(WRITER),), {PLAIN: NOTHING}, beyond=NO_TAGS, stage=Stage.DIRECT),
)


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """What was done while the reader was away, and what its client finds when it asks for history."""

    name: str
    act: Callable[[Scene], Awaitable[None]]
    finds: Expected
    instead: Mapping[str, Expected] = field(default_factory=dict)
    beyond: frozenset[str] = frozenset()
    direct: bool = False

    def expected(self, reader: str) -> Expected:
        """Return what the reader in the column `reader` must find."""
        return self.instead.get(reader, self.finds)


async def _talk(scene: Scene) -> None:
    await scene.writer.say(scene.where, "first")
    await scene.writer.emote(scene.where, "waits")


async def _talk_with_changes(scene: Scene) -> None:
    for text in ("helo", "oops"):
        await scene.writer.say(scene.where, text)
    await scene.writer.correct(scene.where, "helo", "hello")
    await scene.writer.reply(scene.where, "helo", "anybody?")
    await scene.writer.react(scene.where, "anybody?", "👀")
    await scene.writer.retract(scene.where, "oops")


_TALK: Final = (Said(WRITER, "first"), Said(WRITER, "waits", emote=True))

HISTORY: Final = (
    HistoryRow("history", _talk, _TALK),
    HistoryRow("direct history", _talk, _TALK, direct=True),
    HistoryRow(
        "history with changes",
        _talk_with_changes,
        (
            Said(WRITER, "hello"),
            Said(WRITER, "anybody?", reply_to="hello"),
            Reacted(WRITER, "anybody?", "👀"),
        ),
        {
            **dict.fromkeys(
                ("xmpp", "mqtt", "mqtt3"),
                (
                    Said(WRITER, "helo"),
                    Corrected(WRITER, "helo", "hello"),
                    Said(WRITER, "anybody?", reply_to="helo"),
                    Reacted(WRITER, "anybody?", "👀"),
                    Retracted(WRITER, GONE),
                ),
            ),
            PLAIN: (
                Said(WRITER, "hello"),
                Said(WRITER, "> alice: hello"),
                Said(WRITER, "anybody?"),
            ),
        },
        beyond=NO_TAGS,
    ),
)
