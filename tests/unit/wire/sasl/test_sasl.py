"""SASL mechanisms: the published exchanges, their refusals, and both sides against each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.wire.sasl.client import ScramClient, client_mechanism
from sabir.wire.sasl.credentials import fake_verifier, make_verifier, verify_plain
from sabir.wire.sasl.messages import decode_base64
from sabir.wire.sasl.saslprep import saslprep
from sabir.wire.sasl.server import SCRAM_MECHANISMS, ScramServer, advertisement, server_mechanism
from sabir.wire.sasl.types import Challenge, Failure, Reason, SaslClientError, ScramVerifier, Success

SECRET = b"s" * 32
BINDINGS = {"tls-exporter": b"\x01" * 32}
# RFC 5802 §5 and RFC 7677 §3
EXCHANGES = {
    "SCRAM-SHA-1": (
        "fyko+d2lbbFgONRv9qkxdawL",
        "3rfcNHYJY1ZVvWVs7j",
        "QSXCR+Q6sek8bf92",
        b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "SCRAM-SHA-256": (
        "rOprNGfwEbeRWgbNEkqO",
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}


def verifier(mechanism: str = "SCRAM-SHA-256", password: str = "pencil") -> ScramVerifier:
    return make_verifier(password, mechanism, salt=b"0123456789abcdef")


def lookup(name: str) -> ScramVerifier | None:
    return verifier() if name == "ada" else None


def scram_server(
    mechanism: str = "SCRAM-SHA-256", *, bindings: dict[str, bytes] | None = None
) -> ScramServer:
    def find(name: str) -> ScramVerifier | None:
        return verifier(mechanism) if name == "ada" else None

    return ScramServer(mechanism, find, SECRET, bindings or {})


@pytest.mark.parametrize("mechanism", EXCHANGES)
def test_the_published_exchange_is_reproduced_by_both_sides(mechanism: str) -> None:
    client_nonce, server_nonce, salt, first, challenge, final, last = EXCHANGES[mechanism]
    stored = make_verifier("pencil", mechanism, salt=decode_base64(salt))
    client = ScramClient(mechanism, "user", "pencil", "", {}, nonce=client_nonce)
    server = ScramServer(mechanism, lambda name: stored, SECRET, {}, nonce=server_nonce)

    assert client.start() == first
    assert server.start(first) == Challenge(challenge)
    assert client.respond(challenge) == final
    assert server.respond(final) == Success(last, "user", "")
    client.finish(last)


@pytest.mark.parametrize("mechanism", SCRAM_MECHANISMS)
def test_both_sides_agree(mechanism: str) -> None:
    bindings = BINDINGS if mechanism.endswith("-PLUS") else {}
    client = ScramClient(mechanism, "ada", "pencil", "a,=b", bindings)
    server = scram_server(mechanism, bindings=bindings)

    asked = server.start(None)
    challenge = server.respond(client.respond(b""))
    assert isinstance(challenge, Challenge)
    won = server.respond(client.respond(challenge.data))

    assert asked == Challenge(b"")
    assert isinstance(won, Success)
    assert (won.authcid, won.authzid) == ("ada", "a,=b")
    client.finish(won.data)


def run(server: ScramServer, client: ScramClient) -> Success | Failure:
    step = server.start(client.start())
    while isinstance(step, Challenge):
        step = server.respond(client.respond(step.data))
    return step


def test_a_wrong_password_fails() -> None:
    client = ScramClient("SCRAM-SHA-256", "ada", "pencils", "", {})

    assert run(scram_server(), client) == Failure(Reason.NOT_AUTHORIZED)


def test_an_unknown_name_gets_the_same_salt_each_time_and_fails_at_the_proof() -> None:
    challenges = []
    for _ in range(2):
        client = ScramClient("SCRAM-SHA-256", "eve", "pencil", "", {}, nonce="n")
        server = scram_server()
        challenge = server.start(client.start())
        assert isinstance(challenge, Challenge)
        challenges.append(challenge.data.split(b",")[1:])
        assert server.respond(client.respond(challenge.data)) == Failure(Reason.NOT_AUTHORIZED)

    assert challenges[0] == challenges[1]
    assert challenges[0][1] == b"i=4096"


def test_another_channel_fails() -> None:
    client = ScramClient("SCRAM-SHA-256-PLUS", "ada", "pencil", "", {"tls-exporter": b"\x02" * 32})
    server = scram_server("SCRAM-SHA-256-PLUS", bindings=BINDINGS)

    assert run(server, client) == Failure(Reason.CHANNEL_BINDINGS_DONT_MATCH)


def test_a_client_from_which_plus_was_hidden_is_refused() -> None:
    client = ScramClient("SCRAM-SHA-256", "ada", "pencil", "", BINDINGS, plus_offered=False)

    assert run(scram_server(bindings=BINDINGS), client) == Failure(Reason.DOWNGRADE)


def test_a_client_that_cannot_bind_is_served_although_we_could() -> None:
    client = ScramClient("SCRAM-SHA-256", "ada", "pencil", "", {})

    assert isinstance(run(scram_server(bindings=BINDINGS), client), Success)


@pytest.mark.parametrize(
    ("mechanism", "first", "reason"),
    [
        ("SCRAM-SHA-256", b"p=tls-exporter,,n=ada,r=x", Reason.CHANNEL_BINDING_NOT_SUPPORTED),
        ("SCRAM-SHA-256-PLUS", b"n,,n=ada,r=x", Reason.MALFORMED),
        ("SCRAM-SHA-256-PLUS", b"y,,n=ada,r=x", Reason.MALFORMED),
        ("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=ada,r=x", Reason.UNSUPPORTED_CHANNEL_BINDING_TYPE),
        ("SCRAM-SHA-256", b"n,,m=new,n=ada,r=x", Reason.EXTENSIONS_NOT_SUPPORTED),
        ("SCRAM-SHA-256", b"n,,n=a=da,r=x", Reason.INVALID_USERNAME),
        ("SCRAM-SHA-256", "n,,n=\u0007ada,r=x".encode(), Reason.INVALID_USERNAME),
        ("SCRAM-SHA-256", b"n,,n=\xff,r=x", Reason.INVALID_ENCODING),
        ("SCRAM-SHA-256", b"n,,n=ada", Reason.MALFORMED),
        ("SCRAM-SHA-256", b"n,,n=ada,r=", Reason.MALFORMED),
        ("SCRAM-SHA-256", b"n,b=x,n=ada,r=x", Reason.MALFORMED),
        ("SCRAM-SHA-256", b"n", Reason.MALFORMED),
        ("SCRAM-SHA-256", b"", Reason.MALFORMED),
        ("SCRAM-SHA-256", b"n,,n=ada,r=" + b"x" * 5000, Reason.MALFORMED),
    ],
)
def test_a_bad_first_message_is_refused(mechanism: str, first: bytes, reason: Reason) -> None:
    server = scram_server(mechanism, bindings=BINDINGS if mechanism.endswith("PLUS") else None)

    assert server.start(first) == Failure(reason)
    assert server.respond(first) == Failure(Reason.MALFORMED)


@pytest.mark.parametrize(
    ("final", "reason"),
    [
        (b"c=biws,r=cother,p=AAAA", Reason.NOT_AUTHORIZED),
        (b"c=eSws,r=c,p=AAAA", Reason.CHANNEL_BINDINGS_DONT_MATCH),
        (b"c=biws,r=c", Reason.MALFORMED),
        (b"c=biws,p=AAAA", Reason.MALFORMED),
        (b"c=bi*s,r=c,p=AAAA", Reason.INVALID_ENCODING),
        (b"c=biws,r=cserver,p=AAAA", Reason.MALFORMED),
        (b"", Reason.MALFORMED),
    ],
)
def test_a_bad_final_message_is_refused(final: bytes, reason: Reason) -> None:
    server = ScramServer("SCRAM-SHA-256", lookup, SECRET, {}, nonce="server")
    server.start(b"n,,n=ada,r=c")

    assert server.respond(final) == Failure(reason)


@given(st.lists(st.binary(max_size=60), max_size=3))
def test_any_bytes_give_a_step(messages: list[bytes]) -> None:
    for name in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS"):
        server = server_mechanism(
            name, lookup=lambda _: None, secret=SECRET, bindings=BINDINGS, fake_iterations=1
        )
        assert server is not None
        for message in messages:
            assert not isinstance(server.respond(message), Success)


def test_plain_takes_the_right_password_only() -> None:
    server = server_mechanism("PLAIN", lookup=lookup, secret=SECRET)
    assert server is not None

    assert server.start(None) == Challenge(b"")
    assert server.start(b"\0ada\0pencil") == Success(b"", "ada", "")
    assert server.start(b"eve\0ada\0pencil") == Success(b"", "ada", "eve")
    assert server.respond(b"\0ada\0pencils") == Failure(Reason.NOT_AUTHORIZED)
    assert server.respond(b"\0eve\0pencil") == Failure(Reason.NOT_AUTHORIZED)
    for bad in (
        b"",
        b"ada\0pencil",
        b"\0\0pencil",
        b"\0ada\0",
        b"\0\xff\0x",
        b"\0a\0b\0c",
        b"\0a\0" + b"x" * 5000,
    ):
        assert server.respond(bad) == Failure(Reason.MALFORMED)


def test_plain_client_sends_one_message() -> None:
    client = client_mechanism("PLAIN", "ada", "pencil")

    assert client.start() == client.respond(b"") == b"\0ada\0pencil"
    client.finish(None)
    with pytest.raises(SaslClientError):
        client.respond(b"?")


def test_unknown_mechanisms_are_none_or_an_error() -> None:
    assert server_mechanism("SCRAM-SHA-256-PLUS", lookup=lookup, secret=SECRET) is None
    assert server_mechanism("GSSAPI", lookup=lookup, secret=SECRET) is None
    with pytest.raises(ValueError, match="GSSAPI"):
        client_mechanism("GSSAPI", "ada", "pencil")
    with pytest.raises(ValueError, match="binding"):
        client_mechanism("SCRAM-SHA-1-PLUS", "ada", "pencil")
    with pytest.raises(ValueError, match="mechanism"):
        make_verifier("pencil", "PLAIN", salt=b"x")
    with pytest.raises(ValueError, match="empty"):
        make_verifier("", "SCRAM-SHA-1", salt=b"x")


@pytest.mark.parametrize(
    "challenge",
    [b"x", b"r=other,s=QQ==,i=4096", b"r=mine,s=QQ==,i=4096", b"r=mine2,s=QQ==,i=1", b"r=mine2,s=QQ==,i=x"],
)
def test_a_client_refuses_a_weak_or_foreign_challenge(challenge: bytes) -> None:
    client = ScramClient("SCRAM-SHA-256", "ada", "pencil", "", {}, nonce="mine")

    with pytest.raises(SaslClientError):
        client.respond(challenge)


@pytest.mark.parametrize("last", [None, b"", b"v=AAAA"])
def test_a_client_refuses_a_server_that_proves_nothing(last: bytes | None) -> None:
    client = ScramClient("SCRAM-SHA-256", "ada", "pencil", "", {}, nonce="mine")
    client.respond(b"r=mine2,s=QQ==,i=4096")

    with pytest.raises(SaslClientError):
        client.finish(last)


def test_a_server_final_as_challenge_is_answered_with_nothing() -> None:
    client = ScramClient("SCRAM-SHA-256", "ada", "pencil", "", {})
    server = scram_server()
    challenge = server.start(client.start())
    assert isinstance(challenge, Challenge)
    won = server.respond(client.respond(challenge.data))
    assert isinstance(won, Success)

    assert client.respond(won.data) == b""
    client.finish(None)


def test_a_verifier_checks_its_password_and_hides_its_keys() -> None:
    stored = verifier()

    assert verify_plain("pencil", stored)
    assert not verify_plain("pencils", stored)
    assert not verify_plain("", stored)
    assert not verify_plain("pencil", fake_verifier("ada", "SCRAM-SHA-256", secret=SECRET))
    assert "key" not in repr(stored)


@pytest.mark.parametrize(
    # RFC 4013 §3
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
    ],
)
def test_saslprep_maps_as_published(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u06271", "\u0627a\u0627", "\ufffd"])
def test_saslprep_prohibits(text: str) -> None:
    with pytest.raises(ValueError, match=r"prohibits|direction|begin"):
        saslprep(text)


@pytest.mark.spec("XEP-0474 §5.1")
def test_the_challenge_says_what_was_advertised() -> None:
    names = ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"]
    advertised = advertisement(names, ["tls-server-end-point", "tls-exporter"])
    server = server_mechanism("SCRAM-SHA-1", lookup=lookup, secret=bytes(32), advertised=advertised)
    assert server is not None

    step = server.start(b"n,,n=user,r=abc")

    assert advertised == b"SCRAM-SHA-1\x1eSCRAM-SHA-1-PLUS\x1ftls-exporter\x1etls-server-end-point"
    assert isinstance(step, Challenge)
    assert step.data.endswith(b",h=G6k/rBLDqgOhRRaCuuatSDFkJ08=")  # the example of XEP-0474 §5.3


@pytest.mark.spec("XEP-0474 §5.1")
def test_without_channel_binding_only_mechanisms_are_advertised() -> None:
    assert advertisement(["PLAIN", "EXTERNAL"], []) == b"EXTERNAL\x1ePLAIN"
