"""What a device keeps: chats, messages, what waits to be sent, and the keys of its encryption; all texts sealed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from sabir.client.model import Chat, Encryption, Kind, Message, Standing
from sabir.client.sealing import Seal, key_of
from sabir.client.stanzas import Outgoing

VERSION: Final = 1
PAGE: Final = 200
LATEST_MS: Final = 4_102_444_800_000
"""The year 2100: a time that somebody made up does not leave the calendar."""

metadata: Final = sa.MetaData()
chats: Final = sa.Table(
    "chats",
    metadata,
    sa.Column("jid", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("nick", sa.Text, nullable=False, server_default=""),
    sa.Column("encryption", sa.Text, nullable=False),
    sa.Column("unread", sa.Integer, nullable=False, server_default="0"),
    sa.Column("last_number", sa.Integer),
    # Taken from the list; how it is encrypted stays known.
    sa.Column("hidden", sa.Boolean, nullable=False, server_default="0"),
    # The newest id of the chat's own archive that we have (XEP-0313): where catching up begins.
    sa.Column("archived", sa.Text, nullable=False, server_default=""),
)
messages: Final = sa.Table(
    "messages",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("chat", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("mine", sa.Boolean, nullable=False),
    sa.Column("time_ms", sa.Integer, nullable=False),
    sa.Column("origin_id", sa.Text, nullable=False),
    sa.Column("stanza_id", sa.Text, nullable=False),
    sa.Column("reply_id", sa.Text, nullable=False),
    sa.Column("standing", sa.Integer, nullable=False),
    sa.Column("encryption", sa.Text, nullable=False),
    sa.Column("corrected", sa.Boolean, nullable=False),
    sa.Column("retracted", sa.Boolean, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Index("messages_of_chat", "chat", "time_ms", "number"),
    sa.Index("messages_by_origin", "origin_id", "chat"),
    sa.Index("messages_by_stanza", "chat", "stanza_id"),
)
reactions: Final = sa.Table(
    "reactions",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("who", sa.Text, primary_key=True),
    sa.Column("emoji", sa.Text, primary_key=True),
)
outbox: Final = sa.Table(
    "outbox",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)
secrets: Final = sa.Table(
    "secrets",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)


class Said(msgspec.Struct, frozen=True, array_like=True):
    """The part of a message that is sealed."""

    text: str
    url: str
    device: str


class Archive:
    """One account on one device, in one SQLite file; a change is on disk when its method returns, or `at_once` ends.

    Raises:
        WrongKey: from any method that opens what was sealed with another passphrase.
    """

    def __init__(self, folder: Path, passphrase: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._seal: Final = Seal(key_of(folder, passphrase))
        path = folder / "chat.db"
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._engine: Final = sa.create_engine(f"sqlite:///{path}")
        self._db: Final = self._engine.connect()
        self._at_once = 0
        self._db.exec_driver_sql("PRAGMA journal_mode=WAL")
        self._db.exec_driver_sql("PRAGMA synchronous=FULL")
        self._db.exec_driver_sql("PRAGMA secure_delete=ON")
        metadata.create_all(self._db)
        self._db.exec_driver_sql(f"PRAGMA user_version={VERSION}")
        self._db.commit()
        if (mark := self.secret("mark")) is None:
            self.keep_secret("mark", b"sabir chat")
        elif mark != b"sabir chat":  # pragma: no cover  # the seal refuses before
            raise AssertionError(mark)

    def close(self) -> None:
        """Close the file."""
        self._db.close()
        self._engine.dispose()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """All that is changed meanwhile is on disk at the end, or nothing of it.

        Reading an encrypted message uses up its key: what it said must not be lost without the key.
        """
        self._at_once += 1
        try:
            yield
        finally:
            self._at_once -= 1
            self._commit()

    # Chats

    def chats(self) -> list[Chat]:
        """Return the chats of the list, those with the newest messages first."""
        return self._chats(~chats.c.hidden)

    def _chats(self, where: sa.ColumnElement[bool]) -> list[Chat]:
        newest = sa.select(messages.c.number, messages.c.time_ms, messages.c.sealed, messages.c.retracted)
        newest_of = newest.subquery()
        rows = self._db.execute(
            sa.select(chats, newest_of.c.time_ms, newest_of.c.sealed, newest_of.c.retracted)
            .outerjoin(newest_of, newest_of.c.number == chats.c.last_number)
            .where(where)
            .order_by(sa.desc(sa.func.coalesce(newest_of.c.time_ms, 0)), chats.c.name)
        )
        return [self._chat(row) for row in rows.mappings()]

    def chat(self, jid: str) -> Chat | None:
        """Return one chat, in the list or not, if there is one with that address."""
        return next(iter(self._chats(chats.c.jid == jid)), None)

    def keep_chat(self, chat: Chat) -> None:
        """Add a chat, or change the name, nick and encryption of one."""
        values = {
            "jid": chat.jid,
            "kind": chat.kind.value,
            "name": chat.name,
            "nick": chat.nick,
            "encryption": chat.encryption.value,
            "hidden": False,
        }
        self._write(insert(chats).values(**values).on_conflict_do_update(index_elements=["jid"], set_=values))

    def forget_chat(self, jid: str) -> None:
        """Take a chat from the list; what was said in it stays."""
        self._write(sa.update(chats).where(chats.c.jid == jid).values(hidden=True))

    def read(self, jid: str) -> None:
        """Note that everything in the chat was seen."""
        self._write(sa.update(chats).where(chats.c.jid == jid).values(unread=0))

    def archived(self, jid: str) -> str:
        """Return the newest id of the archive of `jid` that was caught up with; empty if none was."""
        if jid:
            return str(self._db.scalar(sa.select(chats.c.archived).where(chats.c.jid == jid)) or "")
        return (self.secret("archived") or b"").decode()

    def note_archived(self, jid: str, stanza_id: str) -> None:
        """Note how far the archive of `jid`, or of the account if that is empty, was caught up with."""
        if jid:
            self._write(sa.update(chats).where(chats.c.jid == jid).values(archived=stanza_id))
        else:
            self.keep_secret("archived", stanza_id.encode())

    # Messages

    def add(self, message: Message, reply_id: str = "", unread: bool = False) -> Message | None:
        """Keep a message; return it with its number, or None if it was here already, by either of its ids.

        A message that is here learns the id that the archive gave it, and that it was sent.
        """
        known = self.find(message.chat, message.stanza_id, message.sender) or self.find(
            message.chat, message.origin_id, message.sender
        )
        # Some clients use ids again; what an archive knows by two ids is two messages.
        again = known is not None and known.stanza_id and message.stanza_id not in ("", known.stanza_id)
        if known is not None and not again:
            if message.stanza_id and not known.stanza_id:
                self._set(known, stanza_id=message.stanza_id, standing=max(known.standing, Standing.SENT))
            return None
        result = self._db.execute(
            sa.insert(messages).values(
                chat=message.chat,
                sender=message.sender,
                mine=message.mine,
                time_ms=int(message.time.timestamp() * 1000),
                origin_id=message.origin_id,
                stanza_id=message.stanza_id,
                reply_id=reply_id,
                standing=int(message.standing),
                encryption=message.encryption.value,
                corrected=message.corrected,
                retracted=message.retracted,
                sealed=self._said(message),
            )
        )
        number = result.lastrowid
        changed: dict[str, Any] = {"last_number": number, "hidden": False}
        if unread:
            changed["unread"] = chats.c.unread + 1
        self._write(sa.update(chats).where(chats.c.jid == message.chat).values(**changed))
        return self.message(number)

    def message(self, number: int) -> Message:
        """Return the message with that number.

        Raises:
            KeyError: there is none.
        """
        row = self._db.execute(sa.select(messages).where(messages.c.number == number)).mappings().first()
        if row is None:
            raise KeyError(number)
        return self._messages([row])[0]

    def find(self, chat: str, ident: str, sender: str | None = None) -> Message | None:
        """Return the message of `chat` with that id, whoever gave it; only one of `sender` if that is said.

        Ids of senders are unique for each of them only, hence nobody names another's message by its origin id
        to change it.
        """
        if not ident:
            return None
        where = (messages.c.chat == chat) & (
            (messages.c.stanza_id == ident) | (messages.c.origin_id == ident)
        )
        if sender is not None:
            where &= messages.c.sender == sender
        row = self._db.execute(sa.select(messages).where(where).order_by(sa.desc(messages.c.number)).limit(1))
        found = row.mappings().first()
        return self._messages([found])[0] if found else None

    def sent_as(self, origin_id: str) -> Message | None:
        """Return the message of ours with that id, in whichever chat."""
        row = self._db.execute(
            sa.select(messages).where((messages.c.origin_id == origin_id) & messages.c.mine).limit(1)
        )
        found = row.mappings().first()
        return self._messages([found])[0] if found else None

    def page(self, chat: str, before: Message | None = None, size: int = PAGE) -> list[Message]:
        """Return the last `size` messages of a chat, or those before one of them; the oldest first."""
        where = messages.c.chat == chat
        if before is not None:
            at = int(before.time.timestamp() * 1000)
            where &= sa.tuple_(messages.c.time_ms, messages.c.number) < sa.tuple_(at, before.number)
        rows = self._db.execute(
            sa.select(messages)
            .where(where)
            .order_by(sa.desc(messages.c.time_ms), sa.desc(messages.c.number))
            .limit(size)
        )
        return self._messages(list(rows.mappings()))[::-1]

    def correct(self, message: Message, text: str, encryption: Encryption, device: str) -> Message:
        """Give a message another text."""
        said = self._said(replace(message, text=text, device=device))
        return self._set(message, sealed=said, corrected=True, encryption=encryption.value)

    def drop(self, message: Message) -> None:
        """Forget a message that did not arrive."""
        self._write(sa.delete(messages).where(messages.c.number == message.number))

    def retract(self, message: Message) -> Message:
        """Take a message back: its text is gone from here."""
        self._db.execute(sa.delete(reactions).where(reactions.c.number == message.number))
        said = self._said(replace(message, text="", url=""))
        return self._set(message, sealed=said, retracted=True)

    def react(self, message: Message, who: str, emojis: Iterable[str]) -> Message:
        """Set all the reactions of one person (XEP-0444 §3.2: each set replaces the one before)."""
        self._db.execute(
            sa.delete(reactions).where((reactions.c.number == message.number) & (reactions.c.who == who))
        )
        for emoji in dict.fromkeys(emojis):
            self._db.execute(sa.insert(reactions).values(number=message.number, who=who, emoji=emoji))
        self._commit()
        return self.message(message.number)

    def advance(self, message: Message, standing: Standing, stanza_id: str = "") -> Message:
        """Note how far a message of ours has come; it never goes back."""
        changed: dict[str, Any] = {"standing": max(message.standing, standing)}
        if stanza_id:
            changed["stanza_id"] = stanza_id
        return self._set(message, **changed)

    def fail(self, message: Message) -> Message:
        """Note that a message of ours did not arrive."""
        return self._set(message, standing=Standing.FAILED)

    def behind(self, message: Message, standing: Standing) -> list[Message]:
        """Return our messages up to this one that have not come so far (a marker covers all before, XEP-0333 §5)."""
        if standing is not Standing.READ:
            return [message] if message.standing < standing else []
        rows = self._db.execute(
            sa.select(messages)
            .where(messages.c.chat == message.chat)
            .where(messages.c.mine)
            .where(messages.c.number <= message.number)
            .where(messages.c.standing.between(Standing.SENT, standing - 1))
            .order_by(messages.c.number)
        )
        return self._messages(list(rows.mappings()))

    # What waits

    def post(self, outgoing: Outgoing) -> None:
        """Keep something until the server has it."""
        sealed = self._seal.close(msgspec.json.encode(outgoing), f"outbox {outgoing.id}")
        self._write(insert(outbox).values(id=outgoing.id, sealed=sealed).on_conflict_do_nothing())

    def waiting(self) -> list[Outgoing]:
        """Return what the server has not acknowledged, in the order in which it was said."""
        rows = self._db.execute(sa.select(outbox.c.id, outbox.c.sealed).order_by(outbox.c.number))
        return [
            msgspec.json.decode(self._seal.open(row[1], f"outbox {row[0]}"), type=Outgoing) for row in rows
        ]

    def posted(self, ident: str) -> None:
        """Forget what the server has."""
        self._write(sa.delete(outbox).where(outbox.c.id == ident))

    # Secrets

    def secret(self, name: str) -> bytes | None:
        """Return a kept secret."""
        sealed = self._db.scalar(sa.select(secrets.c.sealed).where(secrets.c.name == name))
        return None if sealed is None else self._seal.open(sealed, f"secret {name}")

    def keep_secret(self, name: str, value: bytes) -> None:
        """Keep a secret under a name, in place of the one before."""
        values = {"name": name, "sealed": self._seal.close(value, f"secret {name}")}
        self._write(
            insert(secrets).values(**values).on_conflict_do_update(index_elements=["name"], set_=values)
        )

    def drop_secret(self, name: str) -> None:
        """Forget a secret."""
        self._write(sa.delete(secrets).where(secrets.c.name == name))

    # Rows

    def _write(self, statement: sa.Executable) -> None:
        self._db.execute(statement)
        self._commit()

    def _commit(self) -> None:
        if not self._at_once:
            self._db.commit()

    def _set(self, message: Message, **values: Any) -> Message:
        self._write(sa.update(messages).where(messages.c.number == message.number).values(**values))
        return self.message(message.number)

    def _said(self, message: Message) -> bytes:
        said = Said(message.text, message.url, message.device)
        return self._seal.close(msgspec.msgpack.encode(said), f"message {message.chat}")

    def _opened(self, chat: str, sealed: bytes) -> Said:
        return msgspec.msgpack.decode(self._seal.open(sealed, f"message {chat}"), type=Said)

    def _chat(self, row: sa.RowMapping) -> Chat:
        last = ""
        if row["sealed"] is not None:
            last = "" if row["retracted"] else self._opened(row["jid"], row["sealed"]).text
        return Chat(
            row["jid"],
            Kind(row["kind"]),
            row["name"],
            row["nick"],
            Encryption(row["encryption"]),
            row["unread"],
            last,
            None if row["time_ms"] is None else _time(row["time_ms"]),
        )

    def _messages(self, rows: Sequence[sa.RowMapping]) -> list[Message]:
        numbers = [row["number"] for row in rows]
        reacted: dict[int, dict[str, list[str]]] = {}
        found = self._db.execute(sa.select(reactions).where(reactions.c.number.in_(numbers)))
        for number, who, emoji in found:
            reacted.setdefault(number, {}).setdefault(emoji, []).append(who)
        return [self._message(row, reacted.get(row["number"], {})) for row in rows]

    def _message(self, row: sa.RowMapping, reacted: dict[str, list[str]]) -> Message:
        said = self._opened(row["chat"], row["sealed"])
        answered = None
        if ident := row["reply_id"]:
            answered = self._db.scalar(
                sa.select(messages.c.number)
                .where(messages.c.chat == row["chat"])
                .where((messages.c.stanza_id == ident) | (messages.c.origin_id == ident))
                .limit(1)
            )
        return Message(
            row["number"],
            row["chat"],
            row["sender"],
            row["mine"],
            _time(row["time_ms"]),
            said.text,
            row["origin_id"],
            row["stanza_id"],
            Standing(row["standing"]),
            Encryption(row["encryption"]),
            row["corrected"],
            row["retracted"],
            answered,
            said.url,
            said.device,
            tuple((emoji, tuple(who)) for emoji, who in reacted.items()),
        )


def _time(time_ms: int) -> datetime:
    return datetime.fromtimestamp(min(max(time_ms, 0), LATEST_MS) / 1000, UTC)
