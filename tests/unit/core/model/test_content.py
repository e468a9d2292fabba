"""Making content and asking it questions."""

import pytest

from sabir.core.model import content as c
from sabir.core.model.cbor import Value
from sabir.core.model.content import Content, Disposition, MultiPart, NullPart, PartSemantics, SinglePart

FIRST, SECOND = bytes(16), bytes([1]) * 16

QUESTIONS = (c.is_edit, c.is_delete, c.is_reaction, c.is_unreaction, c.is_emote, c.is_notice)


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (c.text("hello"), None),
        (c.reply(FIRST, c.text("hello")), None),
        (c.edit(FIRST, c.text("hello")), c.is_edit),
        (c.delete(FIRST), c.is_delete),
        (c.reaction(FIRST, "👍"), c.is_reaction),
        (c.unreaction(FIRST, SECOND), c.is_unreaction),
        (c.emote("waves"), c.is_emote),
        (c.extended(c.text("backup done"), c.KIND, c.NOTICE), c.is_notice),
        (c.encrypted("OMEMO"), None),
    ],
)
def test_a_content_is_one_thing_only(content: Content, answer: object) -> None:
    assert [question for question in QUESTIONS if question(content)] == ([answer] if answer else [])


def test_a_reaction_disposition_without_a_target_is_no_reaction() -> None:
    content = Content(body=SinglePart(c.PLAIN, b"+1", Disposition.REACTION))

    assert not c.is_reaction(content)


def test_markdown_can_bring_its_own_plain_text() -> None:
    assert isinstance(c.markdown("*hi*").body, SinglePart)
    assert c.markdown("*hi*", plain="hi", language="en").body == MultiPart(
        PartSemantics.CHOOSE_ONE,
        (SinglePart(c.MARKDOWN, b"*hi*", 1, "en"), SinglePart(c.PLAIN, b"hi", 1, "en")),
    )


def test_an_edited_reply_is_both() -> None:
    content = c.edit(FIRST, c.reply(SECOND, c.text("better", language="en")))

    assert (content.replaces, content.in_reply_to) == (FIRST, SECOND)
    assert content.body == SinglePart(c.PLAIN, b"better", Disposition.RENDER, "en")


def test_an_extension_leaves_the_others_and_the_original_alone() -> None:
    content = c.emote("waves")

    assert c.extended(content, c.ORIGIN, "irc").extensions == {c.KIND: c.EMOTE, c.ORIGIN: "irc"}
    assert content.extensions == {c.KIND: c.EMOTE}


def test_text_with_half_a_character_becomes_text() -> None:
    assert c.text("a\ud800b").body == SinglePart(c.PLAIN, b"a?b")


@pytest.mark.parametrize(
    ("extension", "scheme"),
    [
        (None, None),
        ("OMEMO", None),
        ({"scheme": "OMEMO"}, "OMEMO"),
        ({"scheme": 7}, "an unknown scheme"),
        ({}, "an unknown scheme"),
    ],
)
def test_the_encryption_scheme_is_read_with_care(extension: Value, scheme: str | None) -> None:
    content = c.extended(Content(body=NullPart()), c.E2EE, extension)

    assert c.encryption_scheme(content) == scheme
