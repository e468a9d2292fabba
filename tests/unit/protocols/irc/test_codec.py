"""Lines, tags and names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.protocols.irc.codec.lines import (
    MAX_CLIENT_TAG_BYTES,
    MAX_LINE_BYTES,
    MAX_SERVER_TAG_BYTES,
    Decoder,
    clip,
    encode,
    format_line,
    parse_line,
    split_text,
    without_breaks,
)
from sabir.protocols.irc.codec.names import fold, is_channel, is_nick, looks_like_channel, mask_of, matches
from sabir.protocols.irc.codec.tags import escape, format_tags, parse_tags, unescape
from sabir.protocols.irc.types.line import Fault, Line, Malformed

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=60)
words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n :"), min_size=1, max_size=12
)
keys = st.from_regex(r"\+?([a-z.]{1,8}/)?[a-z0-9-]{1,12}", fullmatch=True)
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
lines = st.builds(
    lambda tags, source, command, middle, last: Line(tags, source, command, [*middle, last]),
    st.dictionaries(keys, values, max_size=4),
    st.one_of(st.just(""), st.from_regex(r"[a-z]{1,9}!~[a-z]{1,9}@[a-z.]{1,12}", fullmatch=True)),
    st.from_regex(r"[A-Z]{1,12}|[0-9]{3}", fullmatch=True),
    st.lists(words, max_size=3),
    texts,
)


@given(lines, st.integers(1, 9))
def test_a_line_survives_any_chunking(line: Line, size: int) -> None:
    data, decoder = encode(line), Decoder(MAX_SERVER_TAG_BYTES)

    heard = [got for at in range(0, len(data), size) for got in decoder.feed(data[at : at + size])]

    assert heard == [line]


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_give_the_same_lines_in_any_chunks(data: bytes, size: int) -> None:
    whole, chunked = Decoder(), Decoder()

    at_once = whole.feed(data)
    piecewise = [got for at in range(0, len(data), size) for got in chunked.feed(data[at : at + size])]

    assert at_once == piecewise


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("PING x", Line({}, "", "PING", ["x"])),
        ("ping", Line({}, "", "PING", [])),
        (":a!b@c PRIVMSG #x :hello  world", Line({}, "a!b@c", "PRIVMSG", ["#x", "hello  world"])),
        ("PRIVMSG  #x   :", Line({}, "", "PRIVMSG", ["#x", ""])),
        ("MODE #x +k a:b", Line({}, "", "MODE", ["#x", "+k", "a:b"])),
        ("@a=1;b;c= :s X :p :q", Line({"a": "1", "b": "", "c": ""}, "s", "X", ["p :q"])),
        ("@a=1;a=2 X", Line({"a": "2"}, "", "X", [])),
        ("TOPIC #x ::-)", Line({}, "", "TOPIC", ["#x", ":-)"])),
    ],
)
@pytest.mark.spec("Modern IRC §message-format")
def test_a_line_is_read_as_the_grammar_says(text: str, line: Line) -> None:
    assert parse_line(text) == line


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
@pytest.mark.spec("Modern IRC §compatibility-with-incorrect-software")
def test_a_line_may_end_in_either_character(end: bytes) -> None:
    assert Decoder().feed(b"A" + end + b"B" + end) == [Line({}, "", "A", []), Line({}, "", "B", [])]


@pytest.mark.parametrize("nothing", [b"\r\n", b"\n\n\r\r", b"   \r\n"[:0]])
def test_empty_lines_are_ignored(nothing: bytes) -> None:
    assert Decoder().feed(nothing) == []


@pytest.mark.spec("Modern IRC §message-format")
def test_a_line_over_512_bytes_is_reported_and_the_next_one_read() -> None:
    longest = b"A " + b"x" * (MAX_LINE_BYTES - 4) + b"\r\n"
    decoder = Decoder()

    assert decoder.feed(longest) == [Line({}, "", "A", ["x" * (MAX_LINE_BYTES - 4)])]
    assert decoder.feed(b"A " + longest + b"B\r\n") == [Malformed(Fault.TOO_LONG, ""), Line({}, "", "B", [])]


@pytest.mark.spec("IRCv3 message-tags")
def test_tags_have_a_limit_of_their_own() -> None:
    longest = b"@" + b"t" * (MAX_CLIENT_TAG_BYTES - 2) + b" A " + b"x" * 508 + b"\r\n"
    decoder = Decoder()

    (line,) = decoder.feed(longest)

    assert isinstance(line, Line)
    assert decoder.feed(b"@t" + longest[1:]) == [Malformed(Fault.TOO_LONG, "")]


def test_an_endless_line_is_reported_once_and_not_kept() -> None:
    decoder = Decoder()

    heard = [got for _ in range(100) for got in decoder.feed(b"x" * 1000)]

    assert heard == [Malformed(Fault.TOO_LONG, "")]
    assert decoder.feed(b"\r\nB\r\n") == [Line({}, "", "B", [])]


@pytest.mark.parametrize(
    ("raw", "bad"),
    [
        (b"privmsg #x :\xff\r\n", Malformed(Fault.NOT_UTF8, "PRIVMSG")),
        (b"\xff\r\n", Malformed(Fault.NOT_UTF8, "")),
        (b"A \0\r\n", Malformed(Fault.FORBIDDEN_CHARACTER, "")),
        (b"@tag\r\n", Malformed(Fault.NO_COMMAND, "")),
        (b":source\r\n", Malformed(Fault.NO_COMMAND, "")),
        (b" \r\n", Malformed(Fault.NO_COMMAND, "")),
    ],
)
@pytest.mark.spec("IRCv3 utf8-only")
def test_a_bad_line_is_reported_alone(raw: bytes, bad: Malformed) -> None:
    assert Decoder().feed(raw + b"B\r\n") == [bad, Line({}, "", "B", [])]


@pytest.mark.parametrize(
    ("escaped", "value"), [(r"a\:b\s\\c\r\n", "a;b \\c\r\n"), (r"\b", "b"), ("x\\", "x"), ("plain", "plain")]
)
@pytest.mark.spec("IRCv3 message-tags")
def test_tag_values_are_unescaped(escaped: str, value: str) -> None:
    assert unescape(escaped) == value


@given(st.dictionaries(keys, values))
def test_tags_survive_a_round_trip(tags: dict[str, str]) -> None:
    assert parse_tags(format_tags(tags)) == tags


@given(values)
def test_an_escaped_value_holds_nothing_that_ends_it(value: str) -> None:
    assert not set("; \r\n") & set(escape(value))


def test_what_would_break_a_line_is_dropped_on_the_way_out() -> None:
    assert encode(Line({}, "", "X", ["a\r\nQUIT\0"])) == b"X :a QUIT\r\n"
    assert without_breaks("a\nb") == "a b"
    assert format_line("001", ("ada", "Hello"), "here") == ":here 001 ada Hello"


def test_a_long_text_is_cut_between_characters() -> None:
    assert clip("é" * 300, 511) == "é" * 255
    assert len(encode(Line({}, "", "X", ["€" * 400]))) <= MAX_LINE_BYTES


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.integers(8, 40))
def test_a_split_text_is_whole_again_when_joined(text: str, limit: int) -> None:
    pieces = split_text(text, limit)

    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= limit for piece in pieces)


@pytest.mark.spec("Modern IRC §casemapping")
def test_only_ascii_letters_are_folded() -> None:
    assert fold("AdA[É]") == "ada[É]"


@pytest.mark.parametrize(
    ("name", "good"), [("ada", True), ("a-b|c", True), ("1a", False), ("", False), ("a b", False)]
)
def test_nicks(name: str, good: bool) -> None:
    assert is_nick(name) is good


@pytest.mark.parametrize(
    ("name", "good"),
    [("#x", True), ("#Größe", True), ("#", False), ("x", False), ("#a,b", False), ("#a b", False)],
)
def test_channels(name: str, good: bool) -> None:
    assert is_channel(name) is good
    assert looks_like_channel("") is False


@pytest.mark.parametrize(
    ("pattern", "mask"),
    [
        ("ada", "ada!*@*"),
        ("a@b", "*!a@b"),
        ("a!b", "a!b@*"),
        ("a!b@c", "a!b@c"),
        ("*", "*!*@*"),
        ("$a:x", "$a:x"),
    ],
)
def test_masks_are_completed(pattern: str, mask: str) -> None:
    assert mask_of(pattern) == mask


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*", "", True),
        ("a*b?", "AxxbC", True),
        ("a*b", "ac", False),
        ("?", "", False),
        ("*a*" * 20 + "b", "a" * 60, False),
    ],
)
def test_masks_match(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


def test_lines_and_faults_can_be_told_apart() -> None:
    line = Line({}, "", "A", [])

    assert line != Malformed(Fault.TOO_LONG, "")
    assert Malformed(Fault.TOO_LONG, "") != line
    assert hash(line) == hash(Line({}, "", "A", []))
    assert hash(Malformed(Fault.TOO_LONG, "")) == hash(Malformed(Fault.TOO_LONG, ""))
    assert "TOO_LONG" in repr(Malformed(Fault.TOO_LONG, ""))
    assert repr(line) == "Line({}, '', 'A', [])"
