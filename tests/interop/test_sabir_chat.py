"""`sabir chat` in a terminal of tmux: log in, talk in secret, come back, and still read it all."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from tests.interop.conftest import PASSWORD, RunningServer
from tests.interop.test_client_toolkit import Person
from tests.interop.test_profanity import Terminal

from sabir.client.model import Encryption

TIMEOUT_S = 60


def chat(running: RunningServer, folder: Path, name: str) -> Terminal:
    """Start the program on a screen of its own."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed: apt-get install tmux")
    folder.mkdir(exist_ok=True)
    environment = {
        "HOME": str(folder),
        "SABIR_CHAT_PASSWORD": PASSWORD,
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "LANG": "C.UTF-8",
        "TERM": "screen-256color",
    }
    command = [
        "env",
        *[f"{key}={value}" for key, value in environment.items()],
        sys.executable,
        *("-m", "sabir", "chat", f"{name}@{running.domain}"),
        *("--server", f"127.0.0.1:{running.ports['xmpp']}"),
        *("--certificate", str(running.certificate)),
        *("--folder", str(folder / "kept")),
    ]
    return Terminal(folder, shlex.join(command))


def test_what_was_said_in_secret_is_there_after_a_restart(running: RunningServer, tmp_path: Path) -> None:
    async def main() -> None:
        benvolio = Person(running, "benvolio", tmp_path)
        terminal = chat(running, tmp_path / "one", "mercutio")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await benvolio.begin()
                await terminal.shows("online")
                terminal.type(f"/msg {benvolio.client.jid}")
                terminal.type("/omemo on")
                await terminal.shows("🔒 OMEMO")
                terminal.type("I am hurt.")
                heard = await benvolio.hears(lambda one: one.text == "I am hurt.")
                assert heard.encryption is Encryption.OMEMO
                await terminal.shows("I am hurt. ✓✓")
                benvolio.client.say(heard.chat, "What, art thou hurt?", reply_to=heard)
                await terminal.shows("What, art thou hurt?")
                benvolio.client.react(heard, "👀")
                await terminal.shows("👀 1")
                terminal.close()

                benvolio.client.say(heard.chat, "Is it much?")
                (tmp_path / "one" / "tmux").unlink(missing_ok=True)
                terminal = chat(running, tmp_path / "one", "mercutio")
                await terminal.shows("Is it much?")
                for line in ("I am hurt. ✓✓", "What, art thou hurt?", "👀 1"):
                    await terminal.shows(line)
                terminal.type("/quit")
        finally:
            terminal.close()
            await benvolio.end()
        kept = b"".join(path.read_bytes() for path in (tmp_path / "one" / "kept").rglob("chat.db*"))
        assert b"I am hurt" not in kept

    asyncio.run(main())


def test_help_says_what_one_may_type(running: RunningServer, tmp_path: Path) -> None:
    async def main() -> None:
        terminal = chat(running, tmp_path / "two", "mercutio")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await terminal.shows("online")
                terminal.type("?")
                await terminal.shows("talk to somebody")
        finally:
            terminal.close()

    asyncio.run(main())


def test_a_wrong_password_is_told_and_ends_the_program(running: RunningServer, tmp_path: Path) -> None:
    async def main() -> None:
        terminal = chat(running, tmp_path / "three", "nobody-here")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await terminal.ends()
        finally:
            terminal.close()

    asyncio.run(main())
