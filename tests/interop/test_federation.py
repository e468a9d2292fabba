"""Our server beside Prosody and ejabberd: what people of both do with each other."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from tests.support.neighbours import (
    PASSWORD,
    PATIENCE_S,
    Authority,
    Ejabberd,
    Names,
    Neighbour,
    Person,
    Prosody,
    Sabir,
    missing,
)


@dataclass
class Street:
    """Ours and its neighbour."""

    ours: Sabir
    theirs: Neighbour
    people: list[Person] = field(default_factory=list)

    def log_in(self, server: Neighbour, name: str, resource: str = "r") -> Person:
        person = Person(server, name, resource)
        self.people.append(person)
        return person

    def juliet(self) -> Person:
        return self.log_in(self.ours, "juliet")

    def romeo(self) -> Person:
        return self.log_in(self.theirs, "romeo")


KINDS = ("prosody", "prosody without a good certificate", "prosody both ways", "prosody direct", "ejabberd")


@pytest.fixture(scope="module", params=KINDS)
def street(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    kind: str = request.param
    absent = missing("erl", "/usr/sbin/ejabberdctl") if kind == "ejabberd" else missing("prosody")
    if absent:
        pytest.skip(absent)
    folder = tmp_path_factory.mktemp("street")
    authority, names = Authority(folder), Names()
    ours = Sabir(folder / "sabir", authority, names)
    theirs: Prosody | Ejabberd
    if kind == "ejabberd":
        theirs = Ejabberd(folder / "ejabberd", authority, names)
    else:
        theirs = Prosody(
            folder / "prosody",
            authority,
            ours,
            certified="without" not in kind,
            bidi="both ways" in kind,
            direct="direct" in kind,
        )
    street = Street(ours, theirs)
    try:
        ours.add("juliet", "nurse")
        ours.start()
        if isinstance(theirs, Prosody):
            theirs.add("romeo", "benvolio")
            theirs.start()
        else:
            theirs.start()
            theirs.add("romeo", "benvolio")
        yield street
        assert "Traceback" not in ours.said(), ours.said()
    finally:
        for person in street.people:
            person.close()
        ours.kill()
        theirs.kill()
        names.close()


def test_people_write_watch_and_ask_each_other(street: Street) -> None:
    juliet, romeo = street.juliet(), street.romeo()

    juliet.say(f"<message to='{romeo.bare}' type='chat' id='m1'><body>Wherefore?</body></message>")
    heard = romeo.wait_for_body("Wherefore?")
    assert heard.get("from") == juliet.jid
    romeo.say(f"<message to='{juliet.bare}' type='chat' id='m2'><body>Here</body></message>")
    assert juliet.wait_for_body("Here").get("from") == romeo.jid

    juliet.say(f"<presence to='{romeo.bare}' type='subscribe'/>")
    romeo.wait_for_presence(juliet.bare, "subscribe")
    romeo.say(
        f"<presence to='{juliet.bare}' type='subscribed'/><presence to='{juliet.bare}' type='subscribe'/>"
    )
    juliet.wait_for_presence(romeo.bare, "subscribed")
    juliet.wait_for_presence(romeo.bare, "subscribe")
    juliet.say(f"<presence to='{romeo.bare}' type='subscribed'/>")
    romeo.wait_for_presence(juliet.bare, "subscribed")
    romeo.wait_for_presence(juliet.jid)
    romeo.say("<presence><show>dnd</show></presence>")
    juliet.wait_for(lambda each: each.child_text("show") == "dnd", "dnd")

    juliet.say(f"<iq type='get' id='v' to='{street.theirs.domain}'><query xmlns='jabber:iq:version'/></iq>")
    assert juliet.wait_for_answer("v").get("type") == "result"
    romeo.say(f"<iq type='get' id='v' to='{street.ours.domain}'><query xmlns='jabber:iq:version'/></iq>")
    assert romeo.wait_for_answer("v").get("type") == "result"

    juliet.say(f"<message to='nobody@{street.theirs.domain}' type='chat' id='m3'><body>x</body></message>")
    romeo.say(f"<message to='nobody@{street.ours.domain}' type='chat' id='m4'><body>x</body></message>")
    juliet.wait_for(lambda each: each.get("type") == "error" and each.get("id") == "m3", "error m3")
    romeo.wait_for(lambda each: each.get("type") == "error" and each.get("id") == "m4", "error m4")

    romeo.close()
    juliet.wait_for_presence(romeo.bare, "unavailable")


@pytest.mark.parametrize("there", [True, False], ids=["theirs", "ours"])
def test_people_of_two_servers_meet_in_a_room(street: Street, there: bool) -> None:
    juliet, romeo = street.juliet(), street.romeo()
    host, guest = (romeo, juliet) if there else (juliet, romeo)
    room = f"ball{int(there)}@rooms.{host.server.domain}"
    enter = f"<presence to='{room}/{{}}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"

    host.say(enter.format("host"))
    host.wait_for_presence(f"{room}/host")
    guest.say(enter.format("guest"))
    guest.wait_for_presence(f"{room}/host")
    guest.wait_for_presence(f"{room}/guest")
    host.wait_for_presence(f"{room}/guest")

    guest.say(f"<message to='{room}' type='groupchat' id='g1'><body>Evening</body></message>")
    assert host.wait_for_body("Evening").get("from") == f"{room}/guest"
    guest.wait_for_body("Evening")
    host.say(f"<message to='{room}' type='groupchat' id='g2'><body>Welcome</body></message>")
    assert guest.wait_for_body("Welcome").get("from") == f"{room}/host"

    guest.say(f"<message to='{room}/host' type='chat' id='p'><body>Psst</body></message>")
    assert host.wait_for_body("Psst").get("from") == f"{room}/guest"

    guest.say(f"<presence to='{room}/host'/>")
    guest.wait_for(
        lambda each: each.name == "presence" and each.get("type") == "error", "a nick that is another's"
    )
    guest.say(f"<iq type='get' id='self' to='{room}/guest'><ping xmlns='urn:xmpp:ping'/></iq>")
    assert guest.wait_for_answer("self").get("type") == "result"

    guest.close()
    host.wait_for_presence(f"{room}/guest", "unavailable")


def test_a_client_of_irc_and_somebody_elsewhere_write_to_each_other(street: Street) -> None:
    romeo = street.romeo()
    with socket.create_connection(("127.0.0.1", street.ours.irc_port), timeout=PATIENCE_S) as irc:
        lines = irc.makefile("r", encoding="utf-8")
        irc.sendall(f"PASS :{PASSWORD}\r\nNICK nurse\r\nUSER nurse 0 * :Nurse\r\n".encode())
        next(line for line in lines if " 001 " in line)

        irc.sendall(f"PRIVMSG {romeo.bare} :Where is she?\r\n".encode())
        heard = romeo.wait_for_body("Where is she?")
        assert heard.get("from") == f"nurse@{street.ours.domain}"
        romeo.say(
            f"<message to='nurse@{street.ours.domain}' type='chat' id='i1'><body>Within</body></message>"
        )

        nick = f"romeo%40{street.theirs.domain}"
        said = next(line.strip() for line in lines if " PRIVMSG nurse " in line)
        assert said.endswith(f":{nick}!{nick}@{street.theirs.domain} PRIVMSG nurse :Within")
        irc.sendall(f"PRIVMSG {nick} :Thanks\r\nQUIT\r\n".encode())
        romeo.wait_for_body("Thanks")
        lines.close()


def test_what_is_said_while_a_server_is_down_arrives_when_it_is_back_whoever_was_killed(
    street: Street,
) -> None:
    juliet, romeo = street.juliet(), street.romeo()
    juliet.say(f"<message to='{romeo.bare}' type='chat' id='m0'><body>0</body></message>")
    romeo.wait_for_body("0")

    street.theirs.kill()
    for number in (1, 2, 3):
        juliet.say(f"<message to='{romeo.bare}' type='chat' id='m{number}'><body>{number}</body></message>")
    juliet.say("<iq type='get' id='done'><query xmlns='jabber:iq:roster'/></iq>")
    juliet.wait_for_answer("done")
    street.ours.kill()
    street.theirs.start()
    # There before the messages: what ejabberd stores for him while he logs in, he may be shown at the next login only.
    again = street.romeo()
    street.ours.start()

    for number in (1, 2, 3):
        again.wait_for_body(str(number))
