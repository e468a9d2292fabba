"""Whatever two clients send, in whatever order: no fault, and no line that breaks the protocol."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.protocols.irc.harness import MODERN, Net

from sabir.protocols.irc.codec.lines import MAX_LINE_BYTES, MAX_SERVER_TAG_BYTES
from sabir.protocols.irc.features.commands import COMMANDS

words = st.one_of(
    st.sampled_from(
        [
            "#lobby",
            "#new",
            "ada",
            "bob",
            "nobody",
            "#lobby,#new",
            "ada,bob",
            "*",
            "0",
            "+",
            "-",
            "+o",
            "+b",
            "-b",
            "+k",
            "+l",
            "+imnst",
            "+qaov",
            "$a:bob",
            "b*!*@*",
            "LATEST",
            "BEFORE",
            "AFTER",
            "AROUND",
            "BETWEEN",
            "TARGETS",
            "msgid=00",
            "timestamp=2027-01-15T08:00:00.000Z",
            "10",
            ">1",
            "%tcuihsnfdlaor,1",
            "IDENTIFY",
            "NickServ",
            "ChanServ",
            "OP",
        ]
    ),
    st.text(max_size=12),
)
tags = st.sampled_from(
    [
        "",
        "@label=1 ",
        "@+typing=active ",
        "@+reply=00;+draft/react=x ",
        "@batch=1 ",
        "@+sabir.im/edit=00 ",
        "@;=;\\ ",
    ]
)
commands = st.one_of(
    st.sampled_from([*COMMANDS, "BATCH", "CAP", "AUTHENTICATE", "PING", "USER", "PASS"]), words
)
lines = st.builds(
    lambda tag, command, params, last: f"{tag}{command} {' '.join(params)} :{last}",
    tags,
    commands,
    st.lists(words, max_size=4),
    st.text(max_size=30),
)


@given(st.lists(st.tuples(st.booleans(), lines), max_size=15), st.sampled_from(["", MODERN]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_commands_leave_a_working_session(sent: list[tuple[bool, str]], caps: str) -> None:
    net = Net()
    peers = net.pair(caps)

    for is_first, line in sent:
        peer = peers[is_first]
        if peer.wire.closing:
            continue
        peer.session.receive(line.encode(errors="replace") + b"\r\n")
        net.run()

    for peer in peers:
        for raw in peer.wire.sent.split(b"\r\n"):
            body = raw.partition(b" ")[2] if raw.startswith(b"@") else raw
            assert len(body) <= MAX_LINE_BYTES - 2, raw
            assert len(raw) - len(body) <= MAX_SERVER_TAG_BYTES
            assert not set(b"\r\n\0") & set(raw)
        if not peer.wire.closing:
            peer.wire.sent = b""
            peer.session.receive(b"PING still-there\r\n")
            assert b"still-there" in peer.wire.sent
