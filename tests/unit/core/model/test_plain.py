"""Plain text for a reader without rich text."""

import time

import pytest

from sabir.core.model import content as c
from sabir.core.model.content import (
    Content,
    Disposition,
    ExternalPart,
    MultiPart,
    NullPart,
    Part,
    PartSemantics,
    SinglePart,
)
from sabir.core.model.plain import media_type, plain_text, reactions

TARGET = bytes(16)

MARKDOWN = SinglePart(c.MARKDOWN, b"# Welcome!")
FANCY = SinglePart("application/vnd.example-fancy", b"12345")
IMAGE = SinglePart("image/gif", b"GIF89a", Disposition.INLINE)
GERMAN = SinglePart("text/plain;charset=iso-8859-1", b"gr\xfc\xdf dich")


def html(source: str) -> SinglePart:
    return SinglePart(c.HTML, source.encode())


def choose(*parts: Part) -> MultiPart:
    return MultiPart(PartSemantics.CHOOSE_ONE, parts)


def process(*parts: Part) -> MultiPart:
    return MultiPart(PartSemantics.PROCESS_ALL, parts)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (SinglePart(c.PLAIN, "grüß dich".encode()), "grüß dich"),
        (GERMAN, "grüß dich"),
        (SinglePart("text/plain", b"\xff?"), "�?"),
        (SinglePart(c.PLAIN, b""), "[empty message]"),
        (NullPart(), "[empty message]"),
        (MARKDOWN, "# Welcome!"),
        (
            SinglePart(c.MARKDOWN, b"[@Alice](mimi://d/u/alice) see [docs](https://d/x)"),
            "@Alice see docs (https://d/x)",
        ),
        (SinglePart(c.MARKDOWN, b"![](https://d/x) \\*not bold\\*"), "![](https://d/x) *not bold*"),
        (SinglePart(c.MARKDOWN, b"[https://d/x](https://d/x)"), "https://d/x"),
        (html('<p>Kudos to <a href="mimi://d/u/alice">@Alice</a>!</p>'), "Kudos to @Alice!"),
        (html("<p>a<br/>b &amp; <b>c</b></p><p>d</p>"), "a\nb & c\nd"),
        (html("<a href='https://d/?a&amp;b'>here</a> <a>there</a>"), "here (https://d/?a&b) there"),
        (html("<mx-reply><b>old</b></mx-reply>new<script>x<y</script> 1 < 2</a>"), "new 1 < 2"),
        (IMAGE, "[image/gif, 6 bytes]"),
        (SinglePart("", b""), "[unknown type, 0 bytes]"),
        (
            ExternalPart(url="https://d/f", description="key signing", filename="f.mp4"),
            "key signing https://d/f",
        ),
        (ExternalPart(url="https://d/f", filename="f.mp4", enc_alg=1), "f.mp4 (encrypted) https://d/f"),
        (ExternalPart(url="https://d/f", enc_alg=1), "file (encrypted) https://d/f"),
        (ExternalPart(url="https://d/f", content_type="Video/mp4; x=y"), "video/mp4 https://d/f"),
        (ExternalPart(url="https://d/join/1", disposition=Disposition.SESSION), "https://d/join/1"),
        (choose(FANCY, MARKDOWN), "# Welcome!"),
        (choose(html("<b>x</b>"), MARKDOWN, GERMAN), "grüß dich"),
        (choose(NullPart(), FANCY), "[application/vnd.example-fancy, 5 bytes]"),
        (choose(process(MARKDOWN, FANCY), html("y")), "y"),
        (choose(choose(FANCY, GERMAN), MARKDOWN), "grüß dich"),
        (process(MARKDOWN, NullPart(), IMAGE), "# Welcome!\n[image/gif, 6 bytes]"),
        (process(MARKDOWN, ExternalPart(url="https://d", disposition=Disposition.PREVIEW)), "# Welcome!"),
        (
            process(*[ExternalPart(url="https://d", disposition=Disposition.PREVIEW)] * 2),
            "https://d\nhttps://d",
        ),
        (MultiPart(PartSemantics.SINGLE_UNIT, (html("<b>x</b>"), IMAGE)), "x\n[image/gif, 6 bytes]"),
    ],
)
def test_every_body_reads_as_plain_text(body: Part, expected: str) -> None:
    assert plain_text(Content(body=body)) == expected


def test_what_cannot_be_read_says_so() -> None:
    assert plain_text(c.encrypted("OMEMO")) == "[encrypted with OMEMO, open it in a client that can]"
    assert plain_text(c.delete(TARGET)) == "[deleted]"


def test_reactions_come_one_by_one() -> None:
    both = Content(
        in_reply_to=TARGET, body=MultiPart(PartSemantics.PROCESS_ALL, (GERMAN, NullPart(), MARKDOWN), 2)
    )

    assert reactions(c.reaction(TARGET, "👍")) == ("👍",)
    assert reactions(both) == ("grüß dich", "# Welcome!")
    assert reactions(c.unreaction(TARGET, TARGET)) == ()


def test_a_media_type_is_bare_and_lower_case() -> None:
    assert media_type("Text/Plain ; charset=utf-8") == "text/plain"


@pytest.mark.parametrize("sign", ["<", "[", "[a](", "<a href='", "&", "\\", "<a>", "![["])
@pytest.mark.parametrize("kind", [c.MARKDOWN, c.HTML])
def test_a_hostile_text_costs_no_more_than_its_length(sign: str, kind: str) -> None:
    body = SinglePart(kind, sign.encode() * (200_000 // len(sign)))

    started = time.process_time()
    plain_text(Content(body=body))

    assert time.process_time() - started < 2
