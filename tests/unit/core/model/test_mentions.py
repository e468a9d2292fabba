"""Mentions in Markdown: what is written so reads as before, and says where people are."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from sabir.core.model import content as words
from sabir.core.model.mentions import MOST, Mention, converted, marked
from sabir.core.model.plain import plain_text
from sabir.protocols.irc.translate import formatting
from sabir.protocols.xmpp.translate import styling

URI = "mimi://localhost/u/00"
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufdd0\ufdd1"), max_size=40)


@example("!0", [(1, 2)])
@given(texts, st.lists(st.tuples(st.integers(0, 41), st.integers(0, 41)), max_size=4))
def test_a_text_with_mentions_reads_as_it_was_written(text: str, places: list[tuple[int, int]]) -> None:
    mentions = [Mention(begin, end, URI) for begin, end in places]
    source = marked(text, mentions)

    for convert in (styling.from_markdown, formatting.from_markdown):
        shown, found = converted(source, convert, lambda label, uri: label)

        assert shown == text
        assert set(found) <= set(mentions)
        assert all(shown[each.begin : each.end] for each in found)


def test_somebody_is_called_as_readers_know_them() -> None:
    source = marked("hey Countess, look", [Mention(4, 12, URI)])

    shown, found = converted(source, styling.from_markdown, lambda label, uri: "ada")

    assert shown == "hey ada, look"
    assert found == [Mention(4, 7, URI)]
    assert plain_text(words.markdown(source)) == "hey Countess, look"


def test_only_so_many_mentions_count() -> None:
    text = "ada " * 100

    source = marked(text, [Mention(at * 4, at * 4 + 3, URI) for at in range(100)])

    assert source.count(URI) == MOST


def test_signs_that_a_user_sends_mark_nothing() -> None:
    shown, found = converted(
        "\ufdd0x\ufdd1 [a](mimi://x/u/1)", styling.from_markdown, lambda label, uri: label
    )

    assert shown == "x a"
    assert [(each.begin, each.end) for each in found] == [(2, 3)]
