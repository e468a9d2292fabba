"""What one may type after a slash."""

from __future__ import annotations

from typing import Final, Protocol

from sabir.client.client import Client
from sabir.client.connection import Refused
from sabir.client.model import Chat, Encryption


class Window(Protocol):
    """What commands do with the window."""

    @property
    def client(self) -> Client:
        """Who talks."""
        ...

    @property
    def chat(self) -> Chat | None:
        """The chat that is open."""
        ...

    def say(self, text: str) -> None:
        """Say something there."""
        ...

    def open_chat(self, jid: str) -> None:
        """Show another chat."""
        ...

    def close_chat(self) -> None:
        """Take the chat from the list."""
        ...

    def send_file(self, path: str) -> None:
        """Send a file there."""
        ...

    async def encrypt(self, encryption: Encryption) -> None:
        """Encrypt what is said there, or no longer."""
        ...

    def action_keys(self) -> None:
        """Show the keys."""
        ...

    def tell(self, text: str) -> None:
        """Show a line to the person."""
        ...

    def leave(self) -> None:
        """End the program."""
        ...


COMMANDS: Final = {
    "/me": ("TEXT", "say what you do"),
    "/msg": ("ADDRESS [TEXT]", "talk to somebody"),
    "/join": ("ROOM [NICK]", "enter a room"),
    "/leave": ("", "leave the room, or close the chat"),
    "/add": ("ADDRESS", "ask somebody to be in your contacts"),
    "/file": ("PATH", "send a file"),
    "/omemo": ("on|off", "encrypt what is said here"),
    "/keys": ("", "show and compare keys"),
    "/topic": ("TEXT", "name what the room is about"),
    "/quit": ("", "leave the program"),
}


async def run(window: Window, text: str) -> None:
    """Do what was typed; what begins with no command is said.

    Raises:
        Refused: it cannot be done.
    """
    word, _, rest = text.partition(" ")
    rest = rest.strip()
    if not text.startswith("/") or text.startswith("//") or word == "/me":
        window.say(text[1:] if text.startswith("//") else text)
        return
    match word:
        case "/msg" if rest:
            address, _, words = rest.partition(" ")
            window.open_chat(window.client.chat(address).jid)
            if words:
                window.say(words)
        case "/join" if rest:
            room, _, nick = rest.partition(" ")
            window.open_chat((await window.client.join(room, nick)).jid)
        case "/leave" if window.chat is not None:
            window.close_chat()
        case "/add" if rest:
            window.client.connection.befriend(rest)
            window.tell(f"{rest} was asked.")
        case "/file" if rest:
            window.send_file(rest)
        case "/omemo" if rest in ("on", "off"):
            await window.encrypt(Encryption.OMEMO if rest == "on" else Encryption.NONE)
        case "/keys":
            window.action_keys()
        case "/topic" if window.chat is not None:
            window.client.connection.set_subject(window.chat.jid, rest)
        case "/quit":
            window.leave()
        case _:
            usage = COMMANDS.get(word)
            if usage is None:
                raise Refused(
                    f"{word} is no command. F1 shows those there are; // begins a text with a slash."
                )
            raise Refused(f"{word} {usage[0]}: {usage[1]}")
