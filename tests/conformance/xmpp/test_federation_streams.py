"""Streams between servers, and what servers of bad will try on them (RFC 6120, XEP-0220, XEP-0288)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.federation import NOTHING, Net, Peering, proof_of
from tests.support.xmpp import Peer

from sabir.net.dialer import Call
from sabir.protocols.xmpp.config import FederationConfig, Verify
from sabir.protocols.xmpp.federation.arriving import NEWCOMERS
from sabir.protocols.xmpp.federation.links import MAX_ASKED
from sabir.protocols.xmpp.machine import dialback
from sabir.protocols.xmpp.machine.incoming import MAX_UNPROVEN

HERE, THERE = "capulet.example", "montague.example"
SECRET = ("00" * 32).encode()
OPENING = (
    "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback'"
    f" xmlns:stream='http://etherx.jabber.org/streams' from='{THERE}' to='{HERE}' version='1.0'>"
)
STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
EXTERNAL = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{}</auth>"
MESSAGE = f"<message from='romeo@{THERE}/o' to='juliet@{HERE}' type='chat'><body>Hi</body></message>"


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    net = Net(tmp_path)
    net.server(HERE, "juliet")
    yield net
    net.close()


def opened(net: Net, certificate: object = NOTHING) -> tuple[Peering, str]:
    """Return a stream of another server that is encrypted, and the features that it was shown."""
    peering = net.peering(HERE, certificate)  # type: ignore[arg-type]  # a certificate
    peering.say(OPENING)
    peering.say(STARTTLS)
    peering.start_tls()
    return peering, peering.say(OPENING)


def proven(net: Net) -> Peering:
    """Return a stream that may bring stanzas."""
    peering, _ = opened(net, proof_of(THERE))
    assert "<success" in peering.say(EXTERNAL.format("="))
    peering.say(OPENING)
    return peering


# Openings


@pytest.mark.spec("RFC 6120 §5")
def test_servers_have_to_encrypt_before_anything_else(net: Net) -> None:
    peering = net.peering(HERE, proof_of(THERE))

    features = peering.say(OPENING)

    assert "<required/>" in features
    assert "EXTERNAL" not in features
    key = f"<db:result from='{THERE}' to='{HERE}'>abc</db:result>"
    assert "type='error'" in (answer := peering.say(key))
    assert "policy-violation" in answer


@pytest.mark.spec("RFC 6120 §4.9.3.6")
def test_a_stream_to_a_domain_that_is_not_ours_ends(net: Net) -> None:
    answer = net.peering(HERE).say(OPENING.replace(f"to='{HERE}'", "to='verona.example'"))

    assert "host-unknown" in answer


@pytest.mark.spec("RFC 6120 §4.9.3.10")
def test_a_stream_in_the_namespace_of_clients_is_refused(net: Net) -> None:
    assert "invalid-namespace" in net.peering(HERE).say(
        OPENING.replace("jabber:server'", "jabber:client'", 1)
    )


def test_a_domain_that_the_operator_denies_is_refused(net: Net) -> None:
    net.server(HERE, federation=FederationConfig(deny=("example",)))

    assert "policy-violation" in net.peering(HERE).say(OPENING)


# Proofs


@pytest.mark.spec("XEP-0178 §3")
def test_a_good_certificate_is_proof_enough(net: Net) -> None:
    juliet = net.servers[HERE].log_in("juliet", "balcony")
    peering, features = opened(net, proof_of(THERE))

    assert "<mechanism>EXTERNAL</mechanism>" in features
    assert "<success" in peering.say(EXTERNAL.format("="))
    assert "<stream:features" in peering.say(OPENING)
    peering.say(MESSAGE)

    assert [each.child_text("body") for each in juliet.hear()] == ["Hi"]


@pytest.mark.spec("RFC 6120 §13.7.1.2")
def test_a_certificate_for_another_domain_proves_nothing(net: Net) -> None:
    peering, features = opened(net, proof_of("verona.example"))

    assert "EXTERNAL" not in features
    assert "not-authorized" in peering.say(EXTERNAL.format("="))


@pytest.mark.spec("RFC 6120 §6.3.8")
def test_nobody_may_act_for_another_domain(net: Net) -> None:
    peering, _ = opened(net, proof_of(THERE))

    assert "invalid-authzid" in peering.say(EXTERNAL.format("dmVyb25hLmV4YW1wbGU="))


def test_a_strict_server_takes_certificates_only(net: Net) -> None:
    net.server(HERE, federation=FederationConfig(verify_by_domain={THERE: Verify.STRICT}))
    peering, _ = opened(net)

    answer = peering.say(f"<db:result from='{THERE}' to='{HERE}'>abc</db:result>")

    assert "type='error'" in answer
    assert "not-authorized" in answer


@pytest.mark.spec("XEP-0344 §2.5")
def test_a_certificate_makes_the_way_back_needless(net: Net) -> None:
    peering, _ = opened(net, proof_of(THERE))

    assert "type='valid'" in peering.say(f"<db:result from='{THERE}' to='{HERE}'>abc</db:result>")
    assert net.calls == []


@pytest.mark.spec("XEP-0220 §2.1.2")
def test_a_forged_key_is_found_out_by_asking_its_owner(net: Net) -> None:
    net.server(THERE, "romeo")
    peering, _ = opened(net)

    answer = peering.say(f"<db:result from='{THERE}' to='{HERE}'>{'0' * 64}</db:result>")

    assert "type='invalid'" in answer
    assert "<stream:error>" in answer
    assert peering.wire.closing


@pytest.mark.spec("XEP-0220 §2.4")
def test_a_key_whose_owner_cannot_be_asked_is_an_error_that_leaves_the_stream_open(net: Net) -> None:
    peering, _ = opened(net)

    answer = peering.say(f"<db:result from='{THERE}' to='{HERE}'>{'0' * 64}</db:result>")

    assert "type='error'" in answer
    assert "remote-server-not-found" in answer
    assert not peering.wire.closing


@pytest.mark.spec("XEP-0220 §2.4")
def test_a_key_for_a_domain_that_is_not_ours_is_an_error(net: Net) -> None:
    peering, _ = opened(net)

    answer = peering.say(f"<db:result from='{THERE}' to='verona.example'>abc</db:result>")

    assert "item-not-found" in answer
    assert not peering.wire.closing


def test_a_key_from_one_of_our_own_domains_is_not_even_looked_at(net: Net) -> None:
    peering, _ = opened(net)

    answer = peering.say(f"<db:result from='rooms.{HERE}' to='{HERE}'>abc</db:result>")

    assert "not-allowed" in answer
    assert net.calls == []


@pytest.mark.spec("XEP-0185 §2")
def test_keys_are_made_as_the_example_says() -> None:
    key = dialback.key_for(b"s3cr3tf0rd14lb4ck", "montague.example", "capulet.example", "D60000229F")

    assert key == "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3"


@pytest.mark.spec("XEP-0220 §2.2.2")
def test_the_owner_of_a_key_says_whether_it_is_one_of_its_own(net: Net) -> None:
    peering, _ = opened(net)
    good = dialback.key_for(SECRET, THERE, HERE, "s1")
    question = f"<db:verify from='{THERE}' to='{HERE}' id='s1'>{{}}</db:verify>"

    assert "type='valid'" in peering.say(question.format(good))
    assert "type='invalid'" in peering.say(question.format(good[:-1]))
    assert "item-not-found" in peering.say(question.format(good).replace(f"to='{HERE}'", "to='x.example'"))


def test_whoever_guesses_keys_is_cut_off(net: Net) -> None:
    peering, _ = opened(net)
    question = f"<db:verify from='{THERE}' to='{HERE}' id='s1'>{'0' * 64}</db:verify>"

    answer = "".join([peering.say(question) for _ in range(6)])

    assert answer.count("type='invalid'") == 5
    assert "policy-violation" in answer
    assert peering.wire.closing


# Stanzas


@pytest.mark.spec("RFC 6120 §4.9.3.12")
def test_a_stanza_before_any_proof_ends_the_stream(net: Net) -> None:
    juliet = net.servers[HERE].log_in("juliet", "balcony")
    peering, _ = opened(net, proof_of(THERE))

    assert "not-authorized" in peering.say(MESSAGE)
    assert juliet.hear() == []


@pytest.mark.spec("RFC 6120 §4.9.3.9")
@pytest.mark.parametrize(
    "sender", ["romeo@verona.example", f"juliet@{HERE}", "verona.example", f"x@rooms.{THERE}", "a@b@c"]
)
def test_a_sender_of_another_domain_ends_the_stream(net: Net, sender: str) -> None:
    juliet = net.servers[HERE].log_in("juliet", "balcony")
    peering = proven(net)

    answer = peering.say(MESSAGE.replace(f"romeo@{THERE}/o", sender))

    assert "invalid-from" in answer
    assert peering.wire.closing
    assert juliet.hear() == []


@pytest.mark.spec("RFC 6120 §4.9.3.7")
def test_a_stanza_without_addresses_ends_the_stream(net: Net) -> None:
    assert "improper-addressing" in proven(net).say(f"<message from='romeo@{THERE}'><body>x</body></message>")
    assert "improper-addressing" in proven(net).say(f"<message to='juliet@{HERE}'><body>x</body></message>")


@pytest.mark.spec("RFC 6120 §4.9.3.6")
def test_a_stanza_to_a_domain_to_which_nothing_was_proven_ends_the_stream(net: Net) -> None:
    assert "host-unknown" in proven(net).say(MESSAGE.replace(f"juliet@{HERE}", f"room@rooms.{HERE}"))


@pytest.mark.spec("RFC 6120 §13.12")
def test_a_giant_stanza_ends_the_stream(net: Net) -> None:
    net.server(HERE, federation=FederationConfig(max_stanza_bytes=20_000))
    peering = proven(net)

    assert "policy-violation" in peering.say(MESSAGE.replace("Hi", "x" * 30_000))


def test_before_any_proof_even_less_is_taken(net: Net) -> None:
    peering, _ = opened(net)

    assert "policy-violation" in peering.say("<message>" + "x" * 70_000)


def test_a_thousand_strangers_are_too_many(net: Net) -> None:
    net.server(HERE, federation=FederationConfig(max_unproven=50))

    peerings = [net.peering(HERE) for _ in range(1_000)]

    assert sum(not peering.wire.closing for peering in peerings) == 50
    assert "resource-constraint" in peerings[-1].hear()
    for peering in peerings[:10]:
        peering.drop()
    assert not net.peering(HERE).wire.closing


def test_who_proves_nothing_for_half_a_minute_is_cut_off(net: Net) -> None:
    peering, _ = opened(net)
    net.loop.advance(31_000)

    assert peering.wire.handler is not None
    peering.wire.handler.tick(net.loop.now_ms())

    assert "connection-timeout" in peering.hear()


# Streams that we open


def called(net: Net, juliet: Peer) -> list[Peering]:
    """Let a test answer calls for the other server."""
    answered: list[Peering] = []
    net.answering = lambda call: answered.append(net.answer(call))
    juliet.say(f"<iq type='get' id='i' to='{THERE}'><ping xmlns='urn:xmpp:ping'/></iq>")
    net.settle()
    return answered


ANSWER = (
    "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' id='s1'"
    f" xmlns:stream='http://etherx.jabber.org/streams' from='{THERE}' to='{HERE}' version='1.0'>"
)
FEATURES = "<stream:features>{}</stream:features>"
TLS_FEATURE = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
DIALBACK_FEATURE = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
PROCEED = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"


def asked_for_proof(net: Net, juliet: Peer, features: str = DIALBACK_FEATURE) -> Peering:
    """Return our stream at the point where it has shown its key."""
    (peering,) = called(net, juliet)
    peering.say(ANSWER + FEATURES.format(TLS_FEATURE))
    peering.say(PROCEED)
    peering.start_tls()
    shown = peering.say(ANSWER + FEATURES.format(features))
    assert f"<db:result from='{HERE}' to='{THERE}'>" in shown
    return peering


@pytest.fixture
def juliet(net: Net) -> Peer:
    return net.servers[HERE].log_in("juliet", "balcony")


def test_a_server_without_encryption_is_not_spoken_to(net: Net, juliet: Peer) -> None:
    (peering,) = called(net, juliet)

    answer = peering.say(ANSWER + FEATURES.format(DIALBACK_FEATURE))

    assert "policy-violation" in answer
    peering.drop()
    assert [each.find("error") is not None for each in juliet.hear()] == [True]


@pytest.mark.spec("XEP-0220 §2.1.1")
def test_stanzas_wait_for_the_result_and_go_out_then(net: Net, juliet: Peer) -> None:
    peering = asked_for_proof(net, juliet)
    assert "urn:xmpp:ping" not in peering.hear()

    sent = peering.say(f"<db:result from='{THERE}' to='{HERE}' type='valid'/>")

    assert "urn:xmpp:ping" in sent


@pytest.mark.spec("XEP-0220 §2.1.1")
@pytest.mark.parametrize(
    ("outcome", "condition"), [("invalid", "internal-server-error"), ("error", "remote-server-timeout")]
)
def test_stanzas_go_back_when_the_result_is_no(net: Net, juliet: Peer, outcome: str, condition: str) -> None:
    peering = asked_for_proof(net, juliet)

    peering.say(f"<db:result from='{THERE}' to='{HERE}' type='{outcome}'/>")

    (error,) = [each.find("error") for each in juliet.hear()]
    assert error is not None
    assert error.find(condition, "urn:ietf:params:xml:ns:xmpp-stanzas") is not None


@pytest.mark.parametrize("sender", ["verona.example", HERE])
def test_a_result_for_a_pair_that_nobody_asked_for_ends_the_stream(
    net: Net, juliet: Peer, sender: str
) -> None:
    peering = asked_for_proof(net, juliet)

    assert "invalid-from" in peering.say(f"<db:result from='{sender}' to='{HERE}' type='valid'/>")


def test_an_answer_about_a_key_that_nobody_asked_about_ends_the_stream(net: Net, juliet: Peer) -> None:
    peering = asked_for_proof(net, juliet)

    answer = peering.say(f"<db:verify from='{THERE}' to='{HERE}' id='guess' type='valid'/>")

    assert "invalid-from" in answer


def test_who_was_called_may_send_nothing_unless_both_agreed(net: Net, juliet: Peer) -> None:
    peering = asked_for_proof(net, juliet)
    peering.say(f"<db:result from='{THERE}' to='{HERE}' type='valid'/>")

    assert "not-authorized" in peering.say(MESSAGE)
    assert not [each for each in juliet.hear() if each.name == "message"]


@pytest.mark.spec("XEP-0288 §2.2")
def test_who_was_called_may_send_once_both_agreed_but_for_its_own_domain_only(net: Net, juliet: Peer) -> None:
    peering = asked_for_proof(net, juliet, DIALBACK_FEATURE + "<bidi xmlns='urn:xmpp:features:bidi'/>")
    peering.say(f"<db:result from='{THERE}' to='{HERE}' type='valid'/>")

    peering.say(MESSAGE)
    assert [each.child_text("body") for each in juliet.hear()] == ["Hi"]

    assert "invalid-from" in peering.say(MESSAGE.replace(THERE, "verona.example"))


@pytest.mark.spec("XEP-0288 §2.2")
def test_a_stream_that_a_peer_opened_for_both_ways_is_used_for_both(net: Net, juliet: Peer) -> None:
    peering, features = opened(net, proof_of(THERE))
    assert "urn:xmpp:features:bidi" in features
    peering.say("<bidi xmlns='urn:xmpp:bidi'/>" + EXTERNAL.format("="))
    peering.say(OPENING)

    juliet.say(f"<iq type='get' id='i' to='{THERE}'><ping xmlns='urn:xmpp:ping'/></iq>")
    net.settle()

    assert f"to='{THERE}'" in peering.hear()
    assert net.calls == []


def test_a_strict_server_hangs_up_on_a_certificate_that_proves_nothing(net: Net) -> None:
    server = net.server(HERE, federation=FederationConfig(verify=Verify.STRICT))
    (peering,) = called(net, server.log_in("juliet", "balcony"))
    peering.say(ANSWER + FEATURES.format(TLS_FEATURE))
    peering.say(PROCEED)
    peering.start_tls()

    assert "policy-violation" in peering.say(ANSWER + FEATURES.format(DIALBACK_FEATURE))


def test_a_server_that_was_not_reached_is_left_alone_for_longer_and_longer(net: Net, juliet: Peer) -> None:
    ping = f"<iq type='get' id='i' to='{THERE}'><ping xmlns='urn:xmpp:ping'/></iq>"
    for expected, pause_ms in ((1, 5_000), (1, 6_000), (2, 15_000), (2, 6_000), (3, 0)):
        juliet.say(ping)
        net.settle()
        assert len(net.calls) == expected
        assert [each.get("type") for each in juliet.hear()] == ["error"]
        net.advance(pause_ms)


# What strangers can use up


def test_who_names_domains_that_do_not_exist_keeps_nobody_from_being_called(net: Net) -> None:
    net.server(HERE, federation=FederationConfig(max_links=20))
    juliet = net.servers[HERE].log_in("juliet", "balcony")
    peering, _ = opened(net)
    for number in range(40):
        peering.say(f"<db:result from='x{number}.example' to='{HERE}'>{'0' * 64}</db:result>")
    net.server(THERE, "romeo")
    romeo = net.servers[THERE].log_in("romeo", "orchard")

    juliet.say(f"<iq type='get' id='i' to='{THERE}'><ping xmlns='urn:xmpp:ping'/></iq>")
    juliet.say(f"<message to='romeo@{THERE}' type='chat'><body>Hi</body></message>")
    net.settle()

    assert [each.get("type") for each in juliet.hear()] == ["result"]
    assert [each.child_text("body") for each in romeo.hear()] == ["Hi"]


def test_strangers_have_only_so_many_servers_called_at_the_same_time(net: Net) -> None:
    net.answering = lambda call: None  # nobody answers, nothing fails
    for stream in range(MAX_ASKED // MAX_UNPROVEN + 3):
        peering, _ = opened(net)
        for number in range(MAX_UNPROVEN):
            peering.say(f"<db:result from='x{number}.s{stream}.example' to='{HERE}'>{'0' * 64}</db:result>")

    assert len(net.calls) == MAX_ASKED


def test_who_has_proven_nothing_has_few_servers_called_and_fails_a_few_times_only(net: Net) -> None:
    calls: list[Call] = []
    net.answering = calls.append
    peering, _ = opened(net)
    for number in range(MAX_UNPROVEN + 1):
        answer = peering.say(f"<db:result from='x{number}.example' to='{HERE}'>{'0' * 64}</db:result>")

    assert len(calls) == MAX_UNPROVEN
    assert "resource-constraint" in answer
    for call in calls:
        call.failed("timeout")
    net.settle()
    assert not peering.wire.closing
    assert "policy-violation" in peering.say(
        f"<db:result from='x.example' to='verona.example'>{'0' * 64}</db:result>"
    )
    assert peering.wire.closing


def test_a_stream_that_was_only_to_ask_about_a_key_may_end_without_a_pause(net: Net, juliet: Peer) -> None:
    net.server(THERE, "romeo")
    peering, _ = opened(net)
    answered: list[Peering] = []
    net.stop(THERE)
    net.answering = lambda call: answered.append(net.answer(call))
    peering.say(f"<db:result from='{THERE}' to='{HERE}'>{'0' * 64}</db:result>")
    (owner,) = answered
    owner.say(ANSWER + FEATURES.format(TLS_FEATURE))
    owner.say(PROCEED)
    owner.start_tls()
    asked = owner.say(ANSWER + FEATURES.format(DIALBACK_FEATURE))
    stream_id = asked.partition("<db:verify")[2].partition(" id='")[2].partition("'")[0]
    owner.say(f"<db:verify from='{THERE}' to='{HERE}' id='{stream_id}' type='valid'/>")
    assert "type='valid'" in peering.hear()

    owner.drop()
    juliet.say(f"<iq type='get' id='i' to='{THERE}'><ping xmlns='urn:xmpp:ping'/></iq>")
    net.settle()

    assert len(answered) == 2  # it is called at once, and nothing goes back


def test_a_server_cannot_make_up_people_without_end(net: Net, juliet: Peer) -> None:
    peering, _ = opened(net, proof_of(THERE))
    peering.say("<bidi xmlns='urn:xmpp:bidi'/>" + EXTERNAL.format("="))
    peering.say(OPENING)
    probe = f"<presence from='p{{}}@{THERE}' to='juliet@{HERE}' type='probe'/>"
    peering.say("".join([probe.format(number) for number in range(int(NEWCOMERS.burst))]))
    actors = net.servers[HERE].services.directory.actors
    before = len(actors)

    answer = peering.say(f"<iq type='get' id='i' from='new@{THERE}' to='{HERE}'><x xmlns='y'/></iq>")
    known = peering.say(probe.format(1))

    assert "resource-constraint" in answer
    assert "unsubscribed" in known
    assert len(actors) == before
