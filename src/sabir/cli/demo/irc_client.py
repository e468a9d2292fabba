"""The demo's IRC client: the `irc` library, with the IRCv3 capabilities that a current client asks for."""

from __future__ import annotations

import asyncio
import functools
import ssl
from pathlib import Path
from typing import Any, Final

from irc.client import Event, Reactor, ServerConnection
from irc.connection import Factory

from sabir.cli.demo.script import Act, Line
from sabir.cli.demo.transcript import Transcript

CAPABILITIES: Final = ("message-tags", "server-time", "echo-message", "account-tag", "batch")
LOGIN_S: Final = 15.0
EDIT: Final = "+sabir.im/edit"


class IrcClient:
    """Logs in over TLS by SASL and talks in one channel."""

    def __init__(self, nick: str, password: str, channel: str, transcript: Transcript) -> None:
        self._nick: Final = nick
        self._password: Final = password
        self._channel: Final = channel
        self._transcript: Final = transcript
        self._reactor: Final = Reactor()
        self._connection: Final[ServerConnection] = self._reactor.server()
        self._joined: asyncio.Future[None] | None = None
        for event, handler in {
            "welcome": self._welcomed,
            "endofnames": self._arrived,
            "login_failed": self._turned_away,
            "pubmsg": self._heard,
            "action": self._heard_action,
            "tagmsg": self._heard_tags,
        }.items():
            self._reactor.add_global_handler(event, handler)

    async def start(self, host: str, port: int, certificate: Path) -> None:
        """Log in and join the channel.

        Raises:
            TimeoutError: the server did not let the client in.
            ConnectionError: it refused the login.
        """
        loop = asyncio.get_running_loop()
        self._joined = loop.create_future()
        wrap = functools.partial(
            ssl.create_default_context(cafile=str(certificate)).wrap_socket, server_hostname="localhost"
        )
        await asyncio.to_thread(
            self._connection.connect,
            host,
            port,
            self._nick,
            password=self._password,
            sasl_login=self._nick,
            connect_factory=Factory(wrapper=wrap),
        )
        # The library reads where it is told to: here, in the event loop that slixmpp runs in.
        loop.add_reader(self._connection.socket, self._read)
        await asyncio.wait_for(self._joined, LOGIN_S)

    async def say(self, line: Line) -> None:
        """Say `line` in the channel, in IRC's words."""
        about = self._transcript.ids_of(line.about)[0] if line.about else ""
        match line.act:
            case Act.TEXT:
                self._connection.privmsg(self._channel, line.text)
            case Act.ACTION:
                self._connection.action(self._channel, line.text)
            case Act.REPLY:
                self._connection.send_raw(f"@+reply={about} PRIVMSG {self._channel} :{line.text}")
            case Act.CORRECTION:
                self._connection.send_raw(f"@{EDIT}={about} PRIVMSG {self._channel} :{line.text}")
            case Act.REACTION:
                self._connection.send_raw(f"@+reply={about};+draft/react={line.text} TAGMSG {self._channel}")

    async def stop(self) -> None:
        """Log out."""
        if self._connection.is_connected():
            asyncio.get_running_loop().remove_reader(self._connection.socket)
            self._connection.disconnect("the demo is over")

    def _read(self) -> None:
        socket = self._connection.socket
        self._reactor.process_data([socket])
        if not self._connection.is_connected():
            asyncio.get_running_loop().remove_reader(socket)

    def _welcomed(self, connection: ServerConnection, event: Event) -> None:
        connection.cap("REQ", *CAPABILITIES)
        connection.join(self._channel)

    def _arrived(self, connection: ServerConnection, event: Event) -> None:
        if self._joined is not None and not self._joined.done():
            self._joined.set_result(None)

    def _turned_away(self, connection: ServerConnection, event: Event) -> None:
        if self._joined is not None and not self._joined.done():
            self._joined.set_exception(ConnectionError(" ".join(event.arguments)))

    def _heard(self, connection: ServerConnection, event: Event) -> None:
        shown, tags = event.arguments[0], _tags(event)
        who, ids = event.source.nick, (tags.get("msgid", ""),)
        if edited := tags.get(EDIT):
            # A client that does not know the tag shows the text as it is: "* new text (edited)".
            text = shown.removeprefix("* ").removesuffix(" (edited)")
            self._transcript.add(who, Act.CORRECTION, text, about_id=edited, ids=ids, shown=shown, form=EDIT)
        elif replied := tags.get("+reply"):
            self._transcript.add(who, Act.REPLY, shown, about_id=replied, ids=ids, shown=shown, form="+reply")
        else:
            self._transcript.add(who, Act.TEXT, shown, ids=ids, shown=shown, form="PRIVMSG")

    def _heard_action(self, connection: ServerConnection, event: Event) -> None:
        text, tags = event.arguments[0], _tags(event)
        self._transcript.add(
            event.source.nick, Act.ACTION, text, ids=(tags.get("msgid", ""),), shown=text, form="CTCP ACTION"
        )

    def _heard_tags(self, connection: ServerConnection, event: Event) -> None:
        tags = _tags(event)
        if emoji := tags.get("+draft/react"):
            self._transcript.add(
                event.source.nick,
                Act.REACTION,
                emoji,
                about_id=tags.get("+reply", ""),
                shown=emoji,
                form="TAGMSG +draft/react",
            )


def _tags(event: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] or "" for tag in event.tags}
