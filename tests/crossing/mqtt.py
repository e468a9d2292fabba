"""MQTT in the table of crossings, on aiomqtt: a client of 5.0, and one of 3.1.1, which has JSON only."""

import asyncio
import contextlib
import itertools
import json
from collections import defaultdict
from typing import Any, Final

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tests.crossing.driver import DEADLINE_S, Inbox, Login, Server
from tests.crossing.words import (
    GONE,
    Banned,
    Corrected,
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
    direct,
)

_numbers: Final = itertools.count(1)


class MqttDriver:
    """A client that shows what it is told on chat topics. With `version` 5.0 it writes with properties."""

    def __init__(self, version: int = 5) -> None:
        self.inbox = Inbox()
        self._version = version
        self._texts: dict[Where, dict[str, str]] = defaultdict(dict)
        """Text by message id."""
        self._ids: dict[Where, dict[str, str]] = defaultdict(dict)
        """Message id by text."""
        self._topics: dict[Where, object] = {}
        self._answers: dict[str, Any] = {}

    # The connection.

    async def connect(self, server: Server, login: Login) -> None:
        listener = server.listeners["mqtt"]
        self._me = login.name
        protocol = aiomqtt.ProtocolVersion.V5 if self._version == 5 else aiomqtt.ProtocolVersion.V311
        self._client = aiomqtt.Client(
            listener.host,
            listener.port,
            username=login.name,
            password=login.password,
            identifier=f"crossing{next(_numbers)}",
            protocol=protocol,
        )
        await self._client.__aenter__()
        self._listening = asyncio.create_task(self._listen())
        await self._client.subscribe(f"chat/v1/u/{self._me}/#", qos=1)

    async def close(self) -> None:
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening
        await self._client.__aexit__(None, None, None)

    async def _listen(self) -> None:
        async for message in self._client.messages:
            self.inbox.wire.append(f"S: {message.topic} {message.payload!r}")
            self._hear(str(message.topic), bytes(message.payload), is_retained=bool(message.retain))
            self.inbox.changed()

    async def _publish(self, topic: str, payload: bytes, properties: Properties | None = None) -> None:
        self.inbox.wire.append(f"C: {topic} {payload!r} {properties}")
        await self._client.publish(topic, payload, qos=1, properties=properties)

    async def _put(self, where: str, /, **fields: object) -> None:
        await self._publish(where, json.dumps(fields).encode())

    # What is shown.

    def _hear(self, topic: str, payload: bytes, *, is_retained: bool) -> None:
        _, _, kind, name, what = topic.split("/", 4)
        if what == "text":
            return  # the same as `msg` and `inbox`, which say more
        told = json.loads(payload)
        where = Where(name)
        if kind == "u":
            where = self._place(told)
        if what == "history":
            self._answers[told["id"]] = told
        elif what == "read":
            self._read(told, is_retained=is_retained)
        else:
            for observation in self._observations(where, what, told):
                if what == "status" and told["status"] == "invited":
                    where = Where(told["room"])
                self.inbox.put(where, observation)

    def _place(self, told: Any) -> Where:
        return direct(told.get("to", "") if told.get("sender") == self._me else told.get("sender", ""))

    def _observations(self, where: Where, what: str, told: Any) -> list[Observation]:
        match what:
            case "msg" | "inbox":
                return self._message(where, told)
            case "typing":
                return [Typing(told["sender"])] if told["state"] == "composing" else []
            case "meta":
                before = self._topics.get(where)
                self._topics[where] = now = told.get("topic"), told.get("topic_by")
                return [TopicIs(now[1], now[0])] if now[0] and now != before else []
            case "status":
                return self._status(told)
        return []

    def _message(self, where: Where, told: Any) -> list[Observation]:
        sender = told["sender"]
        if "reaction" in told:
            shown = Unreacted if told.get("deleted") else Reacted
            return [shown(sender, self._text(where, told["reply_to"]), told["reaction"])]
        if told.get("deleted"):
            if "replaces" in told:
                return [Retracted(sender, self._text(where, told["replaces"]))]
            self._texts[where][told["id"]] = GONE  # its tombstone, in history
            return []
        files = told.get("files", [])
        text = told.get("markdown", told.get("text", "")).replace("**", "*").replace("\\", "")
        text = text or (files[0]["url"] if files else "")
        if "replaces" in told:
            return [Corrected(sender, self._text(where, told["replaces"]), text)]
        self._texts[where][told["id"]] = text
        self._ids[where][text] = told["id"]
        kind = told.get("kind")
        return [
            Said(
                sender,
                text,
                self._text(where, told["reply_to"]) if told.get("reply_to") else "",
                kind == "emote",
                kind == "notice",
                tuple(told.get("mentions", ())),
                told.get("topic", ""),
                files[0]["url"] if files else "",
            )
        ]

    def _status(self, told: Any) -> list[Observation]:
        name, by = told.get("name", ""), told.get("by", "")
        match told["status"]:
            case "joined":
                return [Joined(name)]
            case "left":
                return [Left(name)]
            case "kicked":
                return [Kicked(name, by, told.get("reason", ""))]
            case "banned":
                return [Banned(name, by)]
            case "invited":
                return [Invited(by)]
            case "refused":
                self.inbox.refuse(str(told))
        return []

    def _read(self, told: Any, *, is_retained: bool) -> None:
        for marker in told["markers"] if not is_retained else ():
            where = Where(marker["room"]) if "room" in marker else direct(marker["to"])
            self.inbox.put(where, Read(self._me, self._text(where, marker["id"])))

    def _text(self, where: Where, id_: str) -> str:
        return self._texts[where].get(id_, f"what is {id_}?")

    # What a person does.

    async def join(self, where: Where) -> None:
        await self._client.subscribe(f"chat/v1/r/{where}/#", qos=1)

    async def leave(self, where: Where) -> None:
        await self._client.unsubscribe(f"chat/v1/r/{where}/#")

    async def say(self, where: Where, text: str) -> None:
        await self._write(where, text)

    async def say_strongly(self, where: Where, before: str, strong: str, after: str) -> None:
        shown = f"{before}*{strong}*{after}"
        source = f"{before}**{strong}**{after}"
        if self._version == 5:
            properties = Properties(PacketTypes.PUBLISH)
            properties.ContentType = "text/markdown"
            await self._publish(_topic(where, "text"), source.encode(), properties)
        else:
            await self._put(_topic(where, "msg"), markdown=source)
        await self._shown(where, shown)

    async def notify(self, where: Where, text: str) -> None:
        await self._write(where, text, kind="notice")

    async def emote(self, where: Where, text: str) -> None:
        await self._write(where, text, kind="emote")

    async def mention(self, where: Where, name: str, text: str) -> None:
        await self._write(where, f"{name}: {text}", mention=name)

    async def say_in_thread(self, where: Where, thread: str, text: str) -> None:
        await self._write(where, text, topic=thread)

    async def share(self, where: Where, url: str) -> None:
        name = url.rpartition("/")[2]
        await self._put(_topic(where, "msg"), files=[{"url": url, "name": name, "type": "image/png"}])
        await self._shown(where, url)

    async def reply(self, where: Where, target: str, text: str) -> None:
        await self._write(where, text, reply_to=self._ids[where][target])

    async def _write(self, where: Where, text: str, **fields: str) -> None:
        await self._send(where, text, **fields)
        await self._shown(where, text)

    async def _send(self, where: Where, text: str, **fields: str) -> None:
        if self._version == 5:
            properties = Properties(PacketTypes.PUBLISH)
            properties.UserProperty = [(name.replace("_", "-"), value) for name, value in fields.items()]
            await self._publish(_topic(where, "text"), text.encode(), properties)
            return
        if "mention" in fields:
            await self._put(_topic(where, "msg"), text=text, mentions=[fields["mention"]])
        else:
            await self._put(_topic(where, "msg"), text=text, **fields)

    async def _shown(self, where: Where, text: str) -> None:
        await self.inbox.until(lambda: text in self._ids[where], f"the echo of {text[:40]!r}")

    async def correct(self, where: Where, target: str, text: str) -> None:
        await self._send(where, text, replaces=self._ids[where][target])
        await self._seen(where, Corrected(self._me, target, text))

    async def retract(self, where: Where, target: str) -> None:
        if self._version == 5:
            await self._send(where, "", replaces=self._ids[where][target])
        else:
            await self._put(_topic(where, "msg"), deleted=True, replaces=self._ids[where][target])
        await self._seen(where, Retracted(self._me, target))

    async def remove(self, where: Where, target: str) -> None:
        await self._put(f"chat/v1/r/{where}/mod", action="delete", id=self._ids[where][target])
        await self._seen(where, Retracted(self._me, target))

    async def react(self, where: Where, target: str, emoji: str) -> None:
        id_ = self._ids[where][target]
        if self._version == 5:
            await self._send(where, emoji, reply_to=id_, disposition="reaction")
        else:
            await self._put(_topic(where, "msg"), reaction=emoji, reply_to=id_)
        await self._seen(where, Reacted(self._me, target, emoji))

    async def unreact(self, where: Where, target: str, emoji: str) -> None:
        await self._put(_topic(where, "msg"), reaction=emoji, reply_to=self._ids[where][target], deleted=True)
        await self._seen(where, Unreacted(self._me, target, emoji))

    async def type(self, where: Where) -> None:
        await self._publish(_topic(where, "typing"), b"composing")

    async def mark_read(self, where: Where, target: str) -> None:
        place = {"to": where[1:]} if where.startswith("@") else {"room": where}
        await self._put(f"chat/v1/u/{self._me}/read", id=self._ids[where][target], **place)
        await self._seen(where, Read(self._me, target))

    async def set_topic(self, where: Where, text: str) -> None:
        await self._put(f"chat/v1/r/{where}/meta", topic=text)
        await self._seen(where, TopicIs(self._me, text))

    async def invite(self, where: Where, name: str) -> None:
        await self._put(f"chat/v1/r/{where}/mod", action="invite", name=name)

    async def kick(self, where: Where, name: str, reason: str) -> None:
        await self._put(f"chat/v1/r/{where}/mod", action="kick", name=name, reason=reason)
        await self._seen(where, Kicked(name, self._me, reason))

    async def ban(self, where: Where, name: str) -> None:
        await self._put(f"chat/v1/r/{where}/mod", action="ban", name=name)
        await self._seen(where, Banned(name, self._me))

    async def history(self, where: Where, last: Observation) -> list[Observation]:
        found: list[Observation] = []
        async with asyncio.timeout(DEADLINE_S):
            while last not in found:
                number = f"h{next(_numbers)}"
                await self._put(_topic(where, "history"), id=number, limit=100)
                await self.inbox.until(lambda n=number: n in self._answers, f"the history of {where}")
                messages = self._answers[number]["messages"]
                found = [one for told in messages for one in self._message(where, told)]
        return found

    async def _seen(self, where: Where, observation: Observation) -> None:
        await self.inbox.until(lambda: observation in self.inbox.seen(where), f"the echo of {observation}")


def _topic(where: Where, what: str) -> str:
    if where.startswith("@"):
        return f"chat/v1/u/{where[1:]}/{'inbox' if what == 'msg' else what}"
    return f"chat/v1/r/{where}/{what}"
