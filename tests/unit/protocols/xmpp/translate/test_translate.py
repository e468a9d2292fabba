"""What XMPP clients say as canonical content, and what others say as XMPP."""

from __future__ import annotations

import pytest
from tests.unit.core.fakes import World

from sabir.core.model import content as words
from sabir.core.model.content import Expiration, ExternalPart
from sabir.core.model.event import UNREAD, Event, Kind
from sabir.core.model.ids import ActorId, ConversationId
from sabir.core.model.plain import plain_text
from sabir.protocols.xmpp.translate import (
    Target,
    XmppTranslator,
    content_of_message,
    event_id_of,
    render,
    stanza_id_of,
    timestamp,
)
from sabir.protocols.xmpp.translate.native import milliseconds_of
from sabir.protocols.xmpp.translate.styling import from_markdown
from sabir.wire.xml import Element, parse

ID = bytes(range(16))
TARGET = Target(reference="ref", first_id="first", author="room@r/bob", text="shall we?")


def event(native: str = "", kind: Kind = Kind.MESSAGE, target: bytes = b"") -> Event:
    return Event(
        1, ID, ConversationId(1), 1, 1, 1, 1, ActorId(1), "ada", int(kind), UNREAD, 0, target, 0, 0,
        "xmpp", native.encode(), bytes(32),
    )  # fmt: skip


def message(payload: str) -> Element:
    return parse(f"<message>{payload}</message>".encode(), b" xmlns='jabber:client'")


def test_an_emote_loses_its_sign_and_gets_it_back() -> None:
    content = content_of_message(message("<body>/me waves</body>"))

    assert words.is_emote(content)
    assert plain_text(content) == "waves"
    assert render(event(), content).payload == "<body>/me waves</body>"


def test_the_quote_of_a_reply_is_no_content() -> None:
    native = (
        "><body>&gt; 🎉 hi\nyes</body><reply xmlns='urn:xmpp:reply:0' id='x'/>"
        "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='7'/></fallback></message>"
    )

    content = XmppTranslator(World().services.people).content_of(event(native, target=ID))

    assert plain_text(content) == "yes"
    assert content.in_reply_to == ID


def test_a_region_beyond_the_text_cuts_nothing() -> None:
    content = content_of_message(
        message(
            "<body>short</body><reply xmlns='urn:xmpp:reply:0' id='x'/><fallback xmlns='urn:xmpp:fallback:0'"
            " for='urn:xmpp:reply:0'><body start='0' end='999'/></fallback>"
        )
    )

    assert plain_text(content) == "short"


def test_a_reply_is_quoted_for_clients_that_know_none_and_reads_back() -> None:
    payload = render(event(), words.reply(ID, words.text("yes")), TARGET).payload

    assert "<body>&gt; shall we?\nyes</body>" in payload
    assert "<reply xmlns='urn:xmpp:reply:0' to='room@r/bob' id='ref'/>" in payload
    assert plain_text(content_of_message(message(payload))) == "yes"


def test_changes_name_their_message() -> None:
    edit = render(event(kind=Kind.EDIT), words.edit(ID, words.text("new")), TARGET).payload
    retraction = render(event(kind=Kind.DELETE), words.delete(ID), TARGET).payload
    reaction = render(event(kind=Kind.REACTION), words.reaction(ID, "👍"), TARGET, ("👍", "🎉")).payload

    assert "<replace xmlns='urn:xmpp:message-correct:0' id='first'/>" in edit
    assert "<retract xmlns='urn:xmpp:message-retract:1' id='ref'/>" in retraction
    assert reaction.count("<reaction>") == 2


def test_what_has_a_form_of_its_own_reads_back() -> None:
    file = ExternalPart(
        url="https://x.example/a.png", content_type="image/png", size=7, hash_alg=1, content_hash=b"h" * 32,
        filename="a.png", disposition=words.Disposition.INLINE,
    )  # fmt: skip
    content = words.Content(body=file, expires=Expiration(True, 60), topic_id=b"t")
    content = words.extended(content, words.SPOILER, {"reason": "end"})

    assert content_of_message(message(render(event(), content).payload)) == content


def test_markdown_becomes_styling() -> None:
    assert (
        from_markdown("# Hi\n**b** _i_ ~~s~~ `**` [a](https://x) \\*")
        == "*Hi*\n*b* _i_ ~s~ `**` a (https://x) *"
    )


def test_what_xml_cannot_write_is_left_out() -> None:
    assert render(event(), words.text("a\x02b\x00 <&\nc")).payload == "<body>ab &lt;&amp;\nc</body>"


def test_what_is_encrypted_says_so() -> None:
    assert "OMEMO" in render(event(), words.encrypted("OMEMO")).payload


@pytest.mark.parametrize("text", ["", "00", "zz" * 16, "٣" * 32, "0x" + "0" * 30])
def test_an_id_that_is_none_of_ours_is_nothing(text: str) -> None:
    assert event_id_of(text) == b""
    assert event_id_of(stanza_id_of(ID)) == ID


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2020-01-01", "2020-01-01T00:00:00", "2020-13-01T00:00:00Z"]
)
def test_a_time_that_is_none_is_refused(text: str) -> None:
    assert milliseconds_of(text) is None
    assert milliseconds_of(timestamp(1_234_567_890_123)) == 1_234_567_890_123
