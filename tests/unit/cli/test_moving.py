"""`sabir export` and `sabir import`: round trip, the exports of Prosody and ejabberd, and files that are none."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from tests.support.xmpp import PASSWORD, Peer, XmppServer
from tests.unit.cli.typed import sabir

from sabir.protocols.xmpp.client import ClientStream, Phase
from sabir.protocols.xmpp.pie import reading
from sabir.wire.xml import Element

VECTORS = Path(__file__).parents[2] / "vectors/pie"
NICK = "http://jabber.org/protocol/nick"
PUBSUB = "http://jabber.org/protocol/pubsub"


def names(data: Path) -> list[str]:
    listed = sabir("user", "list", "--json", "--data", data).stdout
    return [user["name"] for user in json.loads(listed)["users"]]


def log_in(server: XmppServer, name: str, mechanism: str = "SCRAM-SHA-1") -> Peer:
    peer = server.connect(ClientStream("localhost", name, PASSWORD, mechanism=mechanism))
    server.settle()
    assert peer.stream.phase is Phase.BOUND, peer.stream.failure
    return peer


def roster(peer: Peer) -> dict[str, tuple[str, str, list[str]]]:
    items = peer.ask("<query xmlns='jabber:iq:roster'/>").elements()[0].elements()
    return {
        item.get("jid") or "": (
            item.get("name") or "",
            item.get("subscription") or "",
            sorted(group.text() for group in item.elements()),
        )
        for item in items
    }


def blocked(peer: Peer) -> list[str | None]:
    listed = peer.ask("<blocklist xmlns='urn:xmpp:blocking'/>").elements()[0].elements()
    return [item.get("jid") for item in listed]


def items(peer: Peer, node: str) -> list[Element]:
    answer = peer.ask(f"<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>")
    assert answer.get("type") == "result", answer
    return answer.elements()[0].elements()[0].elements()


MONTAGUES = {
    "juliet@localhost": ("Juliet", "both", ["Capulets"]),
    "mercutio@elsewhere.example": ("Mercutio & Co", "none", ["Friends", "Montagues"]),
}


@pytest.mark.spec("XEP-0227 §4.2")
@pytest.mark.spec("XEP-0227 §4.3")
@pytest.mark.spec("XEP-0227 §4.4")
@pytest.mark.spec("XEP-0227 §4.10")
def test_people_from_prosody_log_in_with_their_password_and_find_what_is_theirs(tmp_path: Path) -> None:
    files = [VECTORS / "prosody-romeo.xml", VECTORS / "prosody-juliet.xml"]

    result = sabir("import", *files, "--data", tmp_path)

    assert (result.exit_code, result.stdout) == (0, "Imported 2 accounts.\n")
    server = XmppServer(tmp_path)
    romeo, juliet = log_in(server, "romeo"), log_in(server, "juliet")
    assert roster(romeo) == MONTAGUES
    assert roster(juliet) == {"romeo@localhost": ("", "both", [])}
    (card,) = items(romeo, "urn:xmpp:vcard4")
    assert card.get("id") == "current"
    assert card.elements()[0].elements()[0].elements()[0].text() == "Romeo Montague"
    romeo.say("<presence/>")
    juliet.say("<presence/>")
    romeo.hear()
    juliet.say("<presence><show>away</show></presence>")
    assert [each.child_text("show") for each in romeo.hear() if each.name == "presence"] == ["away"]
    server.close()


@pytest.mark.spec("XEP-0227 §4.6")
@pytest.mark.spec("XEP-0227 §4.7")
@pytest.mark.spec("XEP-0227 §4.8")
@pytest.mark.spec("XEP-0227 §5")
def test_people_from_ejabberd_log_in_with_their_password_and_find_what_is_theirs(tmp_path: Path) -> None:
    result = sabir("import", VECTORS / "ejabberd.xml", "--data", tmp_path)

    assert (result.exit_code, result.stdout) == (0, "Imported 2 accounts and 1 message.\n")
    server = XmppServer(tmp_path)
    romeo = log_in(server, "romeo")
    juliet = log_in(server, "juliet")
    juliet.say("<presence/>")
    (waited,) = [each for each in juliet.hear() if each.name == "message"]
    assert (waited.get("from"), waited.child_text("body")) == ("romeo@localhost/desk", "Wherefore?")
    assert [each.get("from") for each in waited.find_all("delay", "urn:xmpp:delay")] == ["localhost"]
    assert roster(romeo) == MONTAGUES
    assert blocked(romeo) == ["tybalt@localhost"]
    card = romeo.ask("<vCard xmlns='vcard-temp'/>").elements()[0]
    assert card.child_text("FN") == "Romeo Montague"
    kept = romeo.ask("<query xmlns='jabber:iq:private'><prefs xmlns='exodus:prefs'/></query>").elements()[0]
    assert kept.elements()[0].child_text("defaultnick") == "Romeo"
    (bookmark,) = items(romeo, "urn:xmpp:bookmarks:1")
    assert bookmark.get("id") == "balcony@rooms.localhost"
    assert bookmark.elements()[0].get("autojoin") in ("true", "1")
    server.close()


def furnished(folder: Path) -> None:
    """Make a store in which people have something of everything."""
    server = XmppServer(folder)
    server.add("romeo", "juliet", "nurse")
    romeo, juliet, nurse = log_in(server, "romeo"), log_in(server, "juliet"), log_in(server, "nurse")
    for peer in (romeo, juliet, nurse):
        peer.say("<presence/>")
    romeo.ask(
        "<query xmlns='jabber:iq:roster'><item jid='juliet@localhost' name='J &amp; &lt;3'><group>a</group>"
        "</item></query>",
        type="set",
    )
    romeo.say("<presence to='juliet@localhost' type='subscribe'/>")
    juliet.say("<presence to='romeo@localhost' type='subscribed'/>")
    nurse.say("<presence to='romeo@localhost' type='subscribe'><status>Let me</status></presence>")
    romeo.ask("<vCard xmlns='vcard-temp'><FN>R\u00f6meo</FN></vCard>", type="set")
    romeo.ask("<query xmlns='jabber:iq:private'><a xmlns='u:a'><b c='d'>e</b></a></query>", type="set")
    romeo.ask(
        "<block xmlns='urn:xmpp:blocking'><item jid='tybalt@elsewhere.example'/><item jid='paris@localhost'/></block>",
        type="set",
    )
    for number in (1, 2):
        romeo.ask(
            f"<pubsub xmlns='{PUBSUB}'><publish node='u:list'><item id='i{number}'><x xmlns='u:x'>{number}</x></item>"
            f"</publish><publish-options><x xmlns='jabber:x:data' type='submit'>"
            f"<field var='FORM_TYPE'><value>{PUBSUB}#publish-options</value></field>"
            "<field var='pubsub#max_items'><value>7</value></field>"
            "<field var='pubsub#access_model'><value>whitelist</value></field></x></publish-options></pubsub>",
            type="set",
        )
    server.close()


@pytest.mark.spec("XEP-0227 §4")
def test_what_is_exported_and_imported_elsewhere_is_the_same_again(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    first, second = tmp_path / "first.xml", tmp_path / "second.xml"
    furnished(old)

    exported = sabir("export", first, "--data", old)
    imported = sabir("import", first, "--data", new)
    again = sabir("export", second, "--data", new)

    assert (exported.exit_code, imported.exit_code, again.exit_code) == (0, 0, 0), imported.stderr
    assert exported.stdout == f"{first}: 3 accounts.\n"
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert second.read_text() == first.read_text()
    server = XmppServer(new)
    romeo = log_in(server, "romeo", "SCRAM-SHA-256")
    assert roster(romeo) == {"juliet@localhost": ("J & <3", "to", ["a"])}
    assert sorted(map(str, blocked(romeo))) == ["paris@localhost", "tybalt@elsewhere.example"]
    assert [item.get("id") for item in items(romeo, "u:list")] == ["i1", "i2"]
    juliet = log_in(server, "juliet")
    refused = juliet.ask(f"<pubsub xmlns='{PUBSUB}'><items node='u:list'/></pubsub>", to="romeo@localhost")
    assert refused.get("type") == "error"
    romeo.say("<presence/>")
    asked = [each for each in romeo.hear() if each.get("type") == "subscribe"]
    assert [(each.get("from"), each.child_text("status")) for each in asked] == [
        ("nurse@localhost", "Let me")
    ]
    server.close()


def write(folder: Path, text: str, name: str = "export.xml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def export_of(content: str, host: str = "localhost") -> str:
    return f"<server-data xmlns='urn:xmpp:pie:0'>\n<host jid='{host}'>\n{content}\n</host></server-data>"


@pytest.mark.spec("XEP-0227 §4.1")
def test_people_of_another_domain_are_left_out_or_moved_here_with_their_contacts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    people = (
        "<user name='ada' password='secret'><query xmlns='jabber:iq:roster'>"
        "<item jid='bob@old.example' subscription='to'/></query></user><user name='bob' password='secret'/>"
    )
    file = write(tmp_path, export_of(people, "old.example"))

    here = sabir("import", file, "--data", data)
    moved = sabir("import", file, "--host", "old.example", "--data", data)

    assert here.exit_code == 1
    assert "Left out: 2 of old.example" in here.stderr
    assert moved.stdout == "Imported 2 accounts.\n"
    server = XmppServer(data)
    assert list(roster(log_in(server, "ada", "PLAIN"))) == ["bob@localhost"]
    server.close()


def test_an_account_that_exists_is_left_as_it_is(tmp_path: Path) -> None:
    data = tmp_path / "data"
    sabir("user", "add", "ada", "--password", PASSWORD, "--data", data)
    file = write(
        tmp_path,
        export_of(
            "<user name='ada' password='other'><vCard xmlns='vcard-temp'><FN>Eve</FN></vCard></user>"
            "<user name='bob' password='x'/>"
        ),
    )

    result = sabir("import", file, "--data", data)

    assert result.stdout == "Imported 1 account.\n"
    assert f"{file}:3: ada: account exists" in result.stderr
    server = XmppServer(data)
    ada = log_in(server, "ada", "SCRAM-SHA-256")
    assert ada.ask("<vCard xmlns='vcard-temp'/>").elements()[0].elements() == []
    server.close()


@pytest.mark.spec("XEP-0227 §4")
def test_what_is_not_known_is_passed_over_and_told(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        export_of(
            "<x xmlns='u:x'><user xmlns='urn:xmpp:pie:0' name='fake'/></x>"
            "<user name='ada' password='x'><y xmlns='u:y'/>"
            "<archive xmlns='urn:xmpp:pie:0#mam'><result xmlns='urn:xmpp:mam:2' id='1'><a/></result>"
            "<result xmlns='urn:xmpp:mam:2' id='2'/></archive></user>"
            "<user name='bob'/><user name='Not A Name' password='x'/>"
        ),
    )

    result = sabir("import", file, "--data", tmp_path / "data")

    assert result.stdout == "Imported 2 accounts.\n"
    assert "ada: not imported: 1 y (u:y)" in result.stderr
    assert "ada: not imported: 2 messages without a time" in result.stderr
    assert "bob: it cannot log in until `sabir user passwd`" in result.stderr
    assert "not a name: name not valid" in result.stderr
    assert names(tmp_path / "data") == ["ada", "bob"]


SCRAM = "<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='SCRAM-SHA-1'>{}</scram-credentials>"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1: no element found"),
        ("<a/>", ":1: this is no export"),
        ("<server-data xmlns='urn:xmpp:pie:0'>\n<host jid='localhost'>\n<user", ":3: unclosed token"),
        ("<!DOCTYPE a [<!ENTITY x 'y'>]><server-data xmlns='urn:xmpp:pie:0'/>", ":1: document types"),
        (export_of("<user/>"), ":3: a user without a name"),
        (export_of("<user name='a'>" + "<a>" * 200 + "</a>" * 200 + "</user>"), ":3: more than 100 levels"),
        (export_of("<other>" + "<a>" * 11_000), ":3: more than 10000 levels"),
        (export_of("<other a='" + "x" * 1_300_000 + "'/>"), "a tag of more than 1048576 bytes"),
        (
            export_of("<user name='a'>\n" + SCRAM.format("<iter-count>x</iter-count>") + "</user>"),
            ":4: iter-count",
        ),
        (
            export_of(
                "<user name='a'>"
                + SCRAM.format("<iter-count>9</iter-count><salt>!</salt><stored-key/><server-key/>")
                + "</user>"
            ),
            ":3: salt is not base64",
        ),
        (
            export_of(
                "<user name='a'>"
                + SCRAM.format(
                    "<iter-count>9</iter-count><salt>AAAA</salt><stored-key>AAAA</stored-key>"
                    "<server-key>AAAA</server-key>"
                )
                + "</user>"
            ),
            "wrong length",
        ),
    ],
)
def test_a_file_that_is_no_export_is_refused_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    file = write(tmp_path, text)

    result = sabir("import", file, "--data", tmp_path / "data")

    assert result.exit_code == 1
    assert str(file) in result.stderr
    assert told in result.stderr


@pytest.mark.spec("XEP-0227 §5")
@pytest.mark.parametrize(
    ("href", "told"),
    [
        ("../secret.xml", "outside of the folder"),
        ("/etc/passwd", "outside of the folder"),
        ("http://elsewhere.example/x.xml", "outside of the folder"),
        ("export.xml", "too many files include each other"),
        ("missing.xml", "No such file"),
    ],
)
def test_included_files_lie_in_the_folder_of_the_export(tmp_path: Path, href: str, told: str) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    write(tmp_path, "<user xmlns='urn:xmpp:pie:0' name='eve'/>", "secret.xml")
    text = (
        "<server-data xmlns='urn:xmpp:pie:0' xmlns:xi='http://www.w3.org/2001/XInclude'>"
        f"<xi:include href='{href}'/></server-data>"
    )

    result = sabir("import", write(folder, text), "--data", tmp_path / "data")

    assert result.exit_code == 1
    assert told in result.stderr


@pytest.mark.spec("XEP-0227 §5")
def test_an_account_may_be_in_several_files_and_its_own_xml_is_left_alone(tmp_path: Path) -> None:
    xi = "xmlns:xi='http://www.w3.org/2001/XInclude'"
    write(
        tmp_path,
        f"<host xmlns='urn:xmpp:pie:0' {xi} jid='localhost'><xi:include href='ada.xml'/></host>",
        "h.xml",
    )
    write(
        tmp_path,
        f"<user xmlns='urn:xmpp:pie:0' {xi} name='ada' password='secret'><xi:include href='card.xml'/>"
        "<query xmlns='jabber:iq:private'><a xmlns='u:a'><xi:include href='/etc/passwd'/></a></query></user>",
        "ada.xml",
    )
    write(tmp_path, "<vCard xmlns='vcard-temp'><FN>Ada</FN></vCard>", "card.xml")
    main = write(
        tmp_path, f"<server-data xmlns='urn:xmpp:pie:0' {xi}><xi:include href='h.xml'/></server-data>"
    )

    result = sabir("import", main, "--data", tmp_path / "data")

    assert result.stdout == "Imported 1 account.\n", result.stderr
    server = XmppServer(tmp_path / "data")
    ada = log_in(server, "ada", "PLAIN")
    assert ada.ask("<vCard xmlns='vcard-temp'/>").elements()[0].child_text("FN") == "Ada"
    kept = ada.ask("<query xmlns='jabber:iq:private'><a xmlns='u:a'/></query>").elements()[0].elements()[0]
    assert [each.name for each in kept.elements()] == ["include"]
    server.close()


def test_an_export_never_overwrites_a_file(tmp_path: Path) -> None:
    sabir("user", "add", "ada", "--password", "x", "--data", tmp_path / "data")
    file = write(tmp_path, "precious")

    result = sabir("export", file, "--data", tmp_path / "data")

    assert result.exit_code == 1
    assert file.read_text() == "precious"


def test_what_an_account_includes_counts_as_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_PERSON_BYTES", 10_000)
    part = f"<vCard xmlns='vcard-temp'><NOTE>{'x' * 3_000}</NOTE></vCard>"
    (tmp_path / "card.xml").write_text(part)

    def read(times: int) -> int:
        include = "<i:include xmlns:i='http://www.w3.org/2001/XInclude' href='card.xml'/>"
        (tmp_path / "export.xml").write_text(export_of(f"<user name='a'>{include * times}</user>"))
        return len(list(reading.Reader([tmp_path / "export.xml"]).persons()))

    assert read(3) == 1
    with pytest.raises(reading.PieError, match="an account of more than"):
        read(4)
