"""The light tree: what goes in comes out, with no more declarations than needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sabir.wire.xml import Element, parse, unescape
from sabir.wire.xml.element import escape_attribute, escape_text, serialise_attributes

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9._-]{0,8}", fullmatch=True)
TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=20
)
SPACES = st.one_of(TEXTS, st.sampled_from(["\t", "\n", "\r", "]]>", "a\r\nb", "<&>'\""]))
NAMESPACES = st.sampled_from(["jabber:client", "urn:a", "urn:b", ""])


def elements(children: st.SearchStrategy[Element | str]) -> st.SearchStrategy[Element]:
    attributes = st.dictionaries(
        st.one_of(NAMES.filter(lambda name: not name.lower().startswith("xml")), st.just("xml:lang"),
                  st.just("{urn:x}a")),
        SPACES, max_size=3,
    )  # fmt: skip
    return st.builds(Element, NAMES, NAMESPACES, attributes, st.lists(children, max_size=4))


TREES = st.recursive(elements(SPACES), lambda inner: elements(st.one_of(SPACES, inner)), max_leaves=8)


@given(TREES)
def test_any_tree_survives_being_written_and_read(tree: Element) -> None:
    assert parse(tree.to_bytes()) == tree


@given(TREES)
def test_a_tree_written_inside_a_namespace_reads_the_same_there(tree: Element) -> None:
    assert parse(tree.to_bytes("jabber:client"), b" xmlns='jabber:client'") == tree


def test_only_namespaces_that_change_are_declared() -> None:
    message = Element("message", "jabber:client", {"to": "a@b"})
    message.add("body", text="hi <there>")
    message.add("active", "http://jabber.org/protocol/chatstates")

    written = message.serialise("jabber:client")

    assert written == (
        "<message to='a@b'><body>hi &lt;there&gt;</body>"
        "<active xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )


def test_children_are_found_by_name_and_namespace() -> None:
    query = parse(b"<iq xmlns='c'>x<query xmlns='r'><item/><item/></query><query/>y</iq>")

    assert query.text() == "xy"
    assert query.find("query") == Element("query", "c")
    assert [len(found.find_all("item")) for found in query.find_all("query", "r")] == [2]
    assert query.find("item") is None
    assert query.child_text("query") == ""
    assert query.child_text("absent") is None


def test_attributes_of_foreign_namespaces_keep_their_namespace() -> None:
    element = parse(b"<a xmlns:f='urn:f' f:x='1' x='2' xml:lang='de'/>")

    assert element.attributes == {"{urn:f}x": "1", "x": "2", "xml:lang": "de"}
    assert parse(element.to_bytes()) == element
    assert serialise_attributes({"x": "'"}) == " x='&apos;'"


@given(TEXTS)
def test_escaping_is_undone(text: str) -> None:
    plain = text.replace("\r", "").replace("\n", "").replace("\t", "")

    assert unescape(escape_text(plain)) == plain
    assert unescape(escape_attribute(plain)) == plain


@given(st.text(max_size=20))
def test_whatever_the_text_what_is_written_is_well_formed(text: str) -> None:
    written = f"<a b='{escape_attribute(text)}'>{escape_text(text)}</a>".encode()
    read = parse(written)
    assert read.get("b") == "".join(read.text())


def test_what_xml_cannot_carry_is_left_out() -> None:
    assert escape_text("a\x00\x01\x0b\x1b\ufffe\uffff\ud800b\t\n") == "ab\t\n"
