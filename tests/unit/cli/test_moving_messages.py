"""What people said moves with them: `sabir export` and `sabir import` of archives (XEP-0227 §4.11)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.xmpp import Peer, XmppServer
from tests.unit.cli.test_moving import VECTORS, export_of, log_in, write
from tests.unit.cli.typed import sabir

from sabir.wire.xml import Element

MAM = "urn:xmpp:mam:2"
REPLACE = "urn:xmpp:message-correct:0"
REACTIONS = "urn:xmpp:reactions:0"


class Kept(NamedTuple):
    """A message as its archive shows it."""

    id: str
    stamp: str
    sender: str
    body: str
    message: Element


def archive(peer: Peer, **fields: str) -> list[Kept]:
    """Return what an archive holds, or what of it a query finds."""
    peer.hear()
    form = "".join([f"<field var='{name}'><value>{value}</value></field>" for name, value in fields.items()])
    answer = peer.ask(
        f"<query xmlns='{MAM}'><x xmlns='jabber:x:data' type='submit'>"
        f"<field var='FORM_TYPE'><value>{MAM}</value></field>{form}</x>"
        "<set xmlns='http://jabber.org/protocol/rsm'><max>100</max></set></query>",
        type="set",
    )
    assert answer.get("type") == "result", answer
    found = [each for each in peer.hear() if each.name == "message"]
    return [kept(each.elements()[0]) for each in found]


def kept(result: Element) -> Kept:
    delay, message = result.elements()[0].elements()
    sender = (message.get("from") or "").partition("/")[0]
    return Kept(
        result.get("id") or "", delay.get("stamp") or "", sender, message.child_text("body") or "", message
    )


def said(stamp: str, sender: str, receiver: str, body: str, id: str = "", archive_id: str = "a") -> str:
    """Return an entry of an archive."""
    named = f" id='{id}'" if id else ""
    return (
        f"<result xmlns='{MAM}' id='{archive_id}'><forwarded xmlns='urn:xmpp:forward:0'>"
        f"<delay xmlns='urn:xmpp:delay' stamp='{stamp}'/>"
        f"<message xmlns='jabber:client' from='{sender}' to='{receiver}' type='chat'{named}>"
        f"<body>{body}</body></message></forwarded></result>"
    )


def archive_of(*entries: str) -> str:
    return f"<archive xmlns='urn:xmpp:pie:0#mam'>{''.join(entries)}</archive>"


def user(name: str, content: str = "") -> str:
    return f"<user name='{name}' password='secret'>{content}</user>\n"


@pytest.mark.spec("XEP-0227 §4.11")
def test_what_was_said_is_the_same_again_with_its_ids_and_times(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    server = XmppServer(old)
    server.add("romeo", "juliet")
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    start = "<message type='chat' to='juliet@localhost'"
    romeo.say(f"{start} id='m1'><body>But soft &amp; low</body></message>")
    server.loop.advance(1500)
    juliet.say("<message type='chat' to='romeo@localhost' id='j1'><body>Ay me</body></message>")
    romeo.say(
        f"{start} id='m2'><body>But, soft</body><replace xmlns='{REPLACE}' id='m1'/></message>",
        f"{start} id='m3'><reactions xmlns='{REACTIONS}' id='j1'><reaction>A</reaction>"
        "<reaction>B</reaction></reactions></message>",
        f"{start} id='m4'><body>regretted</body></message>",
        f"{start} id='m5'><retract xmlns='urn:xmpp:message-retract:1' id='m4'/></message>",
        "<message type='chat' to='mercutio@elsewhere.example' id='m6'><body>lost</body></message>",
        "<message type='chat' to='romeo@localhost' id='m7'><body>to myself</body></message>",
    )
    server.loop.advance(1500)
    juliet.say("<message type='chat' to='romeo@localhost'><body>and no id</body></message>")
    before = [
        each for each in archive(juliet) if each.body or each.message.find("reactions", REACTIONS) is not None
    ]
    server.close()

    exported = sabir("export", tmp_path / "first.xml", "--data", old)
    imported = sabir("import", tmp_path / "first.xml", "--data", new)
    again = sabir("export", tmp_path / "second.xml", "--data", new)

    assert (exported.exit_code, imported.exit_code, again.exit_code) == (0, 0, 0), imported.stderr
    assert imported.stderr == ""
    assert (tmp_path / "second.xml").read_text() == (tmp_path / "first.xml").read_text()
    assert "regretted" not in (tmp_path / "first.xml").read_text()
    server = XmppServer(new)
    juliet = log_in(server, "juliet")
    assert archive(juliet) == before
    assert [each.body for each in before] == ["But soft & low", "Ay me", "But, soft", "", "and no id"]
    assert {each.body for each in archive(log_in(server, "romeo"))} >= {"to myself", "Ay me"}
    server.close()


@pytest.mark.spec("XEP-0227 §4.11")
def test_what_both_archives_hold_is_one_message_in_order_of_time(tmp_path: Path) -> None:
    """Prosody keeps a copy for each side, under ids of its own, and its times are whole seconds."""
    file = write(
        tmp_path,
        export_of(
            user(
                "romeo",
                archive_of(
                    said("2020-01-01T10:00:00Z", "romeo@localhost/x", "juliet@localhost", "one", "1", "r1"),
                    said("2020-01-01T10:00:02Z", "juliet@localhost/y", "romeo@localhost/x", "two", "2", "r2"),
                    said("2020-01-01T10:00:03Z", "romeo@localhost/x", "juliet@localhost", "ok", "", "r3"),
                    said("2020-01-01T10:00:04Z", "romeo@localhost/x", "juliet@localhost", "ok", "", "r4"),
                ),
            )
            + user(
                "juliet",
                archive_of(
                    said("2020-01-01T09:00:00Z", "nurse@a.example", "juliet@localhost", "zero", "0", "j0"),
                    said("2020-01-01T10:00:01Z", "romeo@localhost/x", "juliet@localhost", "one", "1", "j1"),
                    said("2020-01-01T10:00:01Z", "juliet@localhost/y", "romeo@localhost/x", "two", "2", "j2"),
                    said("2020-01-01T10:00:03Z", "romeo@localhost/x", "juliet@localhost/y", "ok", "", "j3"),
                    said("2020-01-01T10:00:04Z", "romeo@localhost/x", "juliet@localhost/y", "ok", "", "j4"),
                    said("2020-01-01T11:00:00Z", "juliet@localhost/y", "romeo@localhost/x", "two", "2", "j5"),
                ),
            )
        ),
    )

    result = sabir("import", file, "--data", tmp_path / "data")

    assert result.stdout == "Imported 2 accounts and 6 messages.\n", result.stderr
    server = XmppServer(tmp_path / "data")
    romeo, juliet = log_in(server, "romeo"), log_in(server, "juliet")
    juliet.say("<presence/>")
    assert [each for each in juliet.hear() if each.name == "message"] == []  # nobody missed anything
    assert [each.body for each in archive(romeo)] == ["one", "two", "ok", "ok", "two"]
    mine = archive(juliet)
    assert [each.body for each in mine] == ["zero", "one", "two", "ok", "ok", "two"]
    assert [each.stamp[11:19] for each in mine[:3]] == ["09:00:00", "10:00:00", "10:00:01"]
    assert [each.body for each in archive(juliet, ids=mine[2].id)] == ["two"]
    assert [each.body for each in archive(juliet, **{"with": "nurse@a.example"})] == ["zero"]
    server.close()


@pytest.mark.spec("XEP-0227 §4.11")
def test_what_prosody_kept_for_two_people_is_one_conversation(tmp_path: Path) -> None:
    files = [VECTORS / "prosody-archive-juliet.xml", VECTORS / "prosody-archive-romeo.xml"]

    result = sabir("import", *files, "--data", tmp_path)

    assert (result.stdout, result.stderr) == ("Imported 2 accounts and 6 messages.\n", "")
    server = XmppServer(tmp_path)
    romeo, juliet = log_in(server, "romeo"), log_in(server, "juliet")
    bodies = ["But soft, what light & so on", "Ay me", "But, soft", "", "ok", "ok"]
    assert [each.body for each in archive(juliet)] == bodies
    assert [each[:4] for each in archive(romeo)] == [each[:4] for each in archive(juliet)]
    server.close()


@pytest.mark.spec("XEP-0313 §4.1.2")
def test_times_find_what_was_imported_into_a_server_that_is_in_use(tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = XmppServer(data)
    server.add("juliet", "nurse")
    nurse = server.log_in("nurse")
    nurse.say("<message type='chat' to='juliet@localhost'><body>before</body></message>")
    server.close()
    entries = [
        said(f"2020-01-0{day}T10:00:00Z", "romeo@localhost/x", "juliet@localhost", f"day {day}", f"d{day}")
        for day in (1, 2, 3)
    ]
    late = [
        said(f"2019-01-0{day}T10:00:00Z", "paris@localhost/x", "juliet@localhost", f"old {day}", f"d{day}")
        for day in (1, 2)
    ]

    first = sabir("import", write(tmp_path, export_of(user("romeo", archive_of(*entries)))), "--data", data)
    second = sabir("import", write(tmp_path, export_of(user("paris", archive_of(*late)))), "--data", data)

    assert (first.stdout, second.stdout) == (
        "Imported 1 account and 3 messages.\n",
        "Imported 1 account and 2 messages.\n",
    )
    server = XmppServer(data)
    juliet, nurse = log_in(server, "juliet"), server.log_in("nurse")
    nurse.say("<message type='chat' to='juliet@localhost'><body>after</body></message>")
    juliet.say("<presence/>")
    shown = [each.child_text("body") for each in juliet.hear() if each.name == "message"]
    assert shown == ["before", "after"]
    everything = archive(juliet)
    assert [each.body for each in everything] == [
        "before", "day 1", "day 2", "day 3", "old 1", "old 2", "after",
    ]  # fmt: skip
    for each in everything:
        assert each in archive(juliet, start=each.stamp, end=each.stamp)
    between = archive(juliet, start="2019-01-02T00:00:00Z", end="2020-01-02T12:00:00Z")
    assert [each.body for each in between] == ["day 1", "day 2", "old 2"]
    assert [each.body for each in archive(juliet, end="2019-06-01T00:00:00Z")] == ["old 1", "old 2"]
    after = [each.body for each in archive(juliet, start="2020-01-03T00:00:00Z")]
    assert after == ["before", "day 3", "after"]
    assert archive(juliet, **{"before-id": everything[4].id}) == everything[:4]
    server.close()


@pytest.mark.spec("XEP-0227 §4.5")
def test_what_waited_for_somebody_is_shown_though_the_archive_has_it_too(tmp_path: Path) -> None:
    waited = (
        "<offline-messages><message xmlns='jabber:client' from='nurse@a.example/x' to='juliet@localhost' "
        "type='chat' id='w'><body>waited</body><delay xmlns='urn:xmpp:delay' from='localhost' "
        "stamp='2020-01-01T10:00:01Z'/></message></offline-messages>"
    )
    kept = archive_of(
        said("2020-01-01T09:00:00Z", "nurse@a.example/x", "juliet@localhost", "seen", "s"),
        said("2020-01-01T10:00:00Z", "nurse@a.example/x", "juliet@localhost", "waited", "w"),
    )
    file = write(tmp_path, export_of(user("juliet", waited + kept)))

    result = sabir("import", file, "--data", tmp_path / "data")

    assert result.stdout == "Imported 1 account and 2 messages.\n", result.stderr
    server = XmppServer(tmp_path / "data")
    juliet = log_in(server, "juliet")
    juliet.say("<presence/>")
    assert [each.child_text("body") for each in juliet.hear() if each.name == "message"] == ["waited"]
    assert [each.body for each in archive(juliet)] == ["seen", "waited"]
    server.close()


def test_addresses_of_the_old_domain_become_ours_and_what_is_of_no_use_is_told(tmp_path: Path) -> None:
    entries = archive_of(
        said("2020-01-01T10:00:00Z", "romeo@old.example/x", "juliet@old.example", "mine", "1"),
        said("2020-01-01T10:00:01Z", "juliet@old.example/x", "romeo@old.example", "hers", "2"),
        said("2020-01-01T10:00:02Z", "eve@old.example/x", "juliet@old.example", "forged", "3"),
        said("2020-01-01T10:00:03Z", "room@muc.example/a", "romeo@old.example", "many", "4").replace(
            "'chat'", "'groupchat'"
        ),
        said("2020-01-01T10:00:04Z", "romeo@old.example/x", "a@b.example", "x" * 300_000, "5"),
        said("2020-01-01T10:00:05Z", "romeo@old.example/x", "@@", "to nobody", "6"),
        said("2020-01-01T10:00:06Z", "romeo@old.example/x", "a@b.example", "", "7").replace(
            "<body></body>", "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
        ),
        said("2020-01-01T10:00:07Z", "romeo@old.example/x", "a@b.example", "", "8").replace(
            "<body></body>", "<retract xmlns='urn:xmpp:message-retract:1' id='unheard of'/>"
        ),
        said("2020-01-01T10:00:08Z", "romeo@old.example/x", "juliet@old.example", "I am you", "9").replace(
            "</body>", f"</body><replace xmlns='{REPLACE}' id='2'/>"
        ),
        said("yesterday", "romeo@old.example/x", "a@b.example", "when?", "10"),
        said("2999-01-01T10:00:00Z", "romeo@old.example/x", "juliet@old.example", "to come", "11"),
    )
    file = write(tmp_path, export_of(user("romeo", entries) + user("juliet"), "old.example"))

    result = sabir("import", file, "--host", "old.example", "--data", tmp_path / "data")

    assert result.stdout == "Imported 2 accounts and 4 messages.\n"
    told = result.stderr.replace("romeo: ", "").replace("not imported: ", "").splitlines()
    assert sorted(told) == [
        "1 messages about others that are not there",
        "1 messages of rooms",
        "1 messages that are too large",
        "1 messages without a time",
        "2 messages of others",
    ]
    server = XmppServer(tmp_path / "data")
    found = archive(log_in(server, "romeo"))
    assert [(each.sender, each.body) for each in found] == [
        ("romeo@localhost", "mine"),
        ("juliet@localhost", "hers"),
        # An edit of what he did not say is a message: as when it arrives from a client.
        ("romeo@localhost", "I am you"),
        ("romeo@localhost", "to come"),
    ]
    assert not found[-1].stamp.startswith("2999")
    server.close()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            archive_of("<result xmlns='u:x'>" + "<a>" * 200 + "</a>" * 200 + "</result>"),
            "more than 100 levels",
        ),
        (
            archive_of("<result xmlns='u:x'>" + f"<b>{'y' * 1_000_000}</b>" * 70 + "</result>"),
            "67108864 bytes",
        ),
    ],
)
def test_a_message_without_measure_is_refused(tmp_path: Path, content: str, told: str) -> None:
    file = write(tmp_path, export_of(user("romeo", content)))

    result = sabir("import", file, "--data", tmp_path / "data")

    assert result.exit_code == 1
    assert told in result.stderr


def test_archives_as_a_whole_may_be_larger_than_what_is_held_of_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sabir.protocols.xmpp.pie.reading.MAX_PERSON_BYTES", 200_000)
    entries = [
        said(
            f"2020-01-01T10:{n // 60:02}:{n % 60:02}Z", "romeo@localhost", "a@b.example", "x" * 2_000, str(n)
        )
        for n in range(600)
    ]
    file = write(tmp_path, export_of(user("romeo", archive_of(*entries))))

    result = sabir("import", file, "--data", tmp_path / "data")

    assert result.stdout == "Imported 1 account and 600 messages.\n", result.stderr
    assert not (tmp_path / "data/import.db").exists()
