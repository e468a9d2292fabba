"""Formatting codes and Markdown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.protocols.irc.translate.formatting import (
    as_spoiler,
    from_markdown,
    has_codes,
    plain,
    spoiler_of,
    to_markdown,
)

codes = st.text(st.sampled_from("ab *_`~\x02\x1d\x1e\x11\x1f\x0f\x0304,12"), max_size=40)


@pytest.mark.parametrize(
    ("codes", "markdown", "text"),
    [
        ("a \x02bold\x02 b", "a **bold** b", "a bold b"),
        ("\x1dit\x1d", "*it*", "it"),
        ("\x1egone\x1e", "~~gone~~", "gone"),
        ("\x11x*y\x11", "`x*y`", "x*y"),
        ("\x02 x \x02y", " **x** y", " x y"),
        ("\x02\x1dboth\x0f none", "***both*** none", "both none"),
        ("\x0304,12red\x03 plain", "red plain", "red plain"),
        ("\x04ff0000red", "red", "red"),
        ("\x1funder\x1f \x16rev", "under rev", "under rev"),
        ("2*3 [x] \x02a_b", r"2\*3 \[x\] **a\_b**", "2*3 [x] a_b"),
    ],
)
def test_codes_become_markdown_and_plain_text(codes: str, markdown: str, text: str) -> None:
    assert to_markdown(codes) == markdown
    assert plain(codes) == text


@pytest.mark.parametrize(
    ("markdown", "codes"),
    [
        ("a **bold** b", "a \x02bold\x02 b"),
        ("*it* and _it_", "\x1dit\x1d and \x1dit\x1d"),
        ("~~gone~~", "\x1egone\x1e"),
        ("`x*y`", "\x11x*y\x11"),
        (r"2\*3", "2*3"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("snake_case_name", "snake_case_name"),
        ("[here](https://a.example)", "here (https://a.example)"),
        ("[@Ada](mimi://d/u/ada)", "@Ada"),
        ("![cat](https://a.example/c.png)", "cat (https://a.example/c.png)"),
    ],
)
def test_markdown_becomes_codes(markdown: str, codes: str) -> None:
    assert from_markdown(markdown) == codes


@given(codes)
def test_plain_text_holds_no_codes(text: str) -> None:
    assert not has_codes(plain(text))


@given(st.text(st.sampled_from("ab *_`~[]()\\"), max_size=40))
def test_text_survives_markdown_and_back(text: str) -> None:
    assert from_markdown(to_markdown(text)) == text


def test_a_spoiler_has_the_colour_of_its_background() -> None:
    assert spoiler_of(as_spoiler("he dies")) == "he dies"
    assert spoiler_of("\x0301,02x\x03") is None
    assert spoiler_of("x") is None
