"""`sabir room`, on a real store that no server holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.xmpp import XmppServer
from tests.unit.cli.typed import sabir
from tests.unit.core.fakes import Listener


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    sabir("user", "add", "ada", "--password", "secret", "--data", folder)
    return folder


def test_a_room_is_made_and_named_as_each_protocol_names_it(data: Path) -> None:
    result = sabir("room", "create", "#lobby", "--owner", "ada", "--data", data)

    assert result.exit_code == 0
    assert result.stdout == "#lobby on IRC, lobby@rooms.localhost on XMPP.\n"
    rooms = json.loads(sabir("room", "list", "--json", "--data", data).stdout)["rooms"]
    assert [(room["name"], room["members"], room["attendees"]) for room in rooms] == [("lobby", 1, 0)]


def test_the_members_of_a_room_are_listed_with_their_roles(data: Path) -> None:
    sabir("room", "create", "lobby", "--owner", "ada", "--data", data)

    members = json.loads(sabir("room", "members", "lobby", "--json", "--data", data).stdout)["members"]

    assert members == [{"name": "ada", "role": "owner", "nick": "", "protocols": []}]
    assert "owner" in sabir("room", "members", "#lobby", "--data", data).stdout


def test_who_joined_for_good_is_a_member(tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = XmppServer(data)
    server.add("ada", "bob")
    for name in ("ada", "bob"):
        account = server.services.accounts.find(name)
        assert account is not None
        session = Listener(account)
        server.services.devices.log_in(session)
        server.services.rooms.join(session, "lobby", name, lambda _: None, lambda _: None, durable=True)
        server.loop.run()
    server.close()

    members = json.loads(sabir("room", "members", "lobby", "--json", "--data", data).stdout)["members"]

    assert {each["name"]: each["role"] for each in members} == {"ada": "owner", "bob": "member"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create", "lobby", "--owner", "ada"), "there is a room of that name"),
        (("create", "hall", "--owner", "bob"), "no account has that name"),
        (("members", "hall"), "no room has that name"),
    ],
)
def test_what_cannot_be_is_refused_with_advice(data: Path, words: tuple[str, ...], told: str) -> None:
    sabir("room", "create", "lobby", "--owner", "ada", "--data", data)

    result = sabir("room", *words, "--data", data)

    assert result.exit_code == 1
    assert told in result.stderr
