"""`@xmpp/client` and `strophe.js`, the libraries of web and Node programs: over TLS, WebSocket and BOSH."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from tests.interop.conftest import PASSWORD, RunningServer

NODE: Final = Path(__file__).with_name("node")
TIMEOUT_S: Final = 120


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, in a folder of its own."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here")
    folder = tmp_path_factory.mktemp("node")
    for file in NODE.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm cannot install: {done.stderr[-200:]}")
    return folder


def run(installed: Path, script: str, *arguments: str, **environment: str) -> Any:
    """Run a script and return what it prints."""
    done = subprocess.run(
        ["node", script, *arguments],
        cwd=installed,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_two_clients_talk_over_tls_and_find_it_in_their_archive(
    running: RunningServer, installed: Path
) -> None:
    seen = run(
        installed,
        "xmpp.mjs",
        running.domain,
        str(running.ports["xmpp"]),
        PASSWORD,
        NODE_EXTRA_CA_CERTS=str(running.certificate),
    )

    assert seen["proven"] == ["password", "token"]
    assert seen["tokenMechanism"] == "HT-SHA-256-NONE"
    # It logs in with SASL 2 and Bind 2: what it calls its resource is the tag.
    for name, address in zip(("mercutio", "nurse"), seen["addresses"], strict=True):
        assert address.startswith(f"{name}@{running.domain}/node/")
    assert seen["rosters"] == ["jabber:iq:roster", "jabber:iq:roster"]
    assert seen["body"] == "God save you, fair gentlewoman."
    assert seen["from"] == seen["addresses"][0]
    assert {"id": seen["stanzaId"], "body": seen["body"]} in seen["results"]
    assert seen["complete"] == "true"


def test_strophe_and_xmpp_client_talk_over_websocket(running: RunningServer, installed: Path) -> None:
    seen = run(installed, "websocket.mjs", running.domain, str(running.ports["http"]), PASSWORD)

    assert seen == {
        "addresses": [f"mercutio@{running.domain}/ws", f"nurse@{running.domain}/strophe"],
        "question": "Is it good e'en? \U0001f319",
        "from": f"nurse@{running.domain}/strophe",
        "answer": "'Tis no less, I tell you.",
    }


def test_two_clients_talk_over_bosh(running: RunningServer, installed: Path) -> None:
    seen = run(installed, "bosh.mjs", running.domain, str(running.ports["http"]), PASSWORD)

    assert seen == {
        "addresses": [f"romeo@{running.domain}/bosh", f"juliet@{running.domain}/bosh"],
        "bodies": [
            "Lady, by yonder blessed moon",
            "I swear, \U0001f319 & <that> tips",
            "with silver",
            "O, swear not by the moon",
        ],
        "roster": "result",
    }


@pytest.mark.spec("XEP-0060 §6.1")
def test_a_node_is_published_on_and_subscribed_to(running: RunningServer, installed: Path) -> None:
    seen = run(
        installed,
        "pep.mjs",
        running.domain,
        str(running.ports["xmpp"]),
        PASSWORD,
        NODE_EXTRA_CA_CERTS=str(running.certificate),
    )

    nurse = f"nurse@{running.domain}"
    assert seen == {
        "subscribed": "subscribed",
        "events": [[nurse, "one", "First"], [nurse, "two", "Second"]],
        "items": ["one", "two"],
        "refused": "forbidden",
    }
