"""Debian's profanity, in a terminal of tmux: it logs in over TLS, talks to somebody and in a room."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.interop.conftest import PASSWORD, RunningServer
from tests.interop.test_xmpp_slixmpp import Client

TIMEOUT_S = 40
LOOK_S = 0.1
"""Between two looks at the screen: a terminal does not say when it has changed."""

ACCOUNT = """\
[{jid}]
enabled=true
jid={jid}
password={password}
server=127.0.0.1
port={port}
resource=profanity
tls.policy=trust
muc.service=rooms.{domain}
muc.nick=nurse
"""


class Terminal:
    """A program on a screen of its own."""

    def __init__(self, folder: Path, command: str) -> None:
        self._tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        self._run("new-session", "-d", "-s", "it", "-x", "120", "-y", "40", command)

    def _run(self, *words: str) -> str:
        done = subprocess.run([*self._tmux, *words], check=True, capture_output=True, text=True, timeout=20)
        return done.stdout

    def type(self, line: str) -> None:
        """Type a line, and the key that ends it."""
        self._run("send-keys", "-t", "it", "-l", line)
        self._run("send-keys", "-t", "it", "Enter")

    def screen(self) -> str:
        return self._run("capture-pane", "-p", "-t", "it")

    async def shows(self, text: str) -> None:
        """Wait until `text` is on the screen."""
        while text not in self.screen():
            await asyncio.sleep(LOOK_S)

    async def ends(self) -> None:
        """Wait until the program has ended, and its screen with it."""
        while subprocess.run([*self._tmux, "has-session"], check=False, capture_output=True).returncode == 0:
            await asyncio.sleep(LOOK_S)

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True, timeout=20)


@pytest.fixture
def terminal(running: RunningServer, tmp_path: Path) -> Iterator[Terminal]:
    for program in ("profanity", "tmux"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install profanity tmux")
    data = tmp_path / "data/profanity"
    data.mkdir(parents=True)
    jid = f"nurse@{running.domain}"
    (data / "accounts").write_text(
        ACCOUNT.format(jid=jid, password=PASSWORD, port=running.ports["xmpp"], domain=running.domain)
    )
    home = f"HOME={tmp_path} XDG_DATA_HOME={tmp_path}/data XDG_CONFIG_HOME={tmp_path}/config LANG=C.UTF-8"
    terminal = Terminal(tmp_path, f"env {home} profanity -a {jid}")
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.mark.spec("RFC 6120 §5.4")
@pytest.mark.spec("RFC 6121 §5")
@pytest.mark.spec("XEP-0045 §7.2")
def test_profanity_logs_in_talks_and_joins_a_room(running: RunningServer, terminal: Terminal) -> None:
    async def main() -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await terminal.shows("logged in successfully")
            juliet = Client(running, "juliet", "balcony")
            juliet.register_plugin("xep_0045")
            await juliet.begin()

            terminal.type(f"/msg juliet@{running.domain} Madam, your mother craves a word")
            heard = await juliet.next_message(lambda message: message["body"])
            assert heard["body"] == "Madam, your mother craves a word"
            assert heard["from"] == f"nurse@{running.domain}/profanity"

            heard.reply("Anon, good nurse!").send()
            await terminal.shows("Anon, good nurse!")

            room = f"chamber@rooms.{running.domain}"
            await juliet.plugin["xep_0045"].join_muc_wait(room, "juliet", timeout=TIMEOUT_S)
            terminal.type(f"/join {room}")
            await terminal.shows("-> You have joined the room as nurse")
            juliet.send_message(mto=room, mbody="What says he of our marriage?", mtype="groupchat")
            await terminal.shows("What says he of our marriage?")
            terminal.type("Lord, how my head aches!")
            said = await juliet.next_message(lambda message: message["body"].startswith("Lord"))
            assert (said["type"], said["from"]) == ("groupchat", f"{room}/nurse")

            terminal.type("/quit")
            await juliet.disconnect()

    try:
        asyncio.run(main())
    except TimeoutError:
        pytest.fail(terminal.screen())
