"""SASLprep (RFC 4013): one form for names and passwords that look the same."""

import stringprep
import unicodedata


def saslprep(text: str) -> str:
    """Return the prepared form of `text`, as a query string (RFC 3454 §7: unassigned code points allowed).

    Raises:
        ValueError: a prohibited character, or mixed directions.
    """
    if text.isascii() and text.isprintable():
        return text
    # RFC 4013 §2.1: map, then §2.2: normalise (KC)
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    for char in prepared:
        if _is_prohibited(char):
            raise ValueError("a character that SASLprep prohibits")
    _check_directions(prepared)
    return prepared


def _is_prohibited(char: str) -> bool:
    """RFC 4013 §2.3."""
    return (
        stringprep.in_table_c12(char)
        or stringprep.in_table_c21_c22(char)
        or stringprep.in_table_c3(char)
        or stringprep.in_table_c4(char)
        or stringprep.in_table_c5(char)
        or stringprep.in_table_c6(char)
        or stringprep.in_table_c7(char)
        or stringprep.in_table_c8(char)
        or stringprep.in_table_c9(char)
    )


def _check_directions(text: str) -> None:
    """RFC 3454 §6: right-to-left text starts and ends with its letters and holds no left-to-right ones."""
    if not any(stringprep.in_table_d1(char) for char in text):
        return
    if any(stringprep.in_table_d2(char) for char in text):
        raise ValueError("letters of both directions")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise ValueError("right-to-left text that does not begin and end so")
