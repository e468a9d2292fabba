"""The fast scanner accepts nothing that expat refuses, and sees in it what expat sees."""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import random
import subprocess
import sys
import sysconfig
from pathlib import Path
from shutil import which
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sabir.wire.xml import Framer, XmlError, parse
from sabir.wire.xml.scan import Scan

SOURCE = Path(__file__).parents[2] / "src/sabir/wire/xml/scanner.pyx"
CONTEXT = b" xmlns='jabber:client'"
SEEDS = [
    b"<message to='bob@localhost' type='chat' id='a1' xml:lang='en'><body>Hello &amp; goodbye</body>"
    b"<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>"
    b"<origin-id xmlns='urn:xmpp:sid:0' id='a1'/></message>",
    b"<presence from='a@b/c'><show>away</show><priority>5</priority></presence>",
    b'<iq type="get" id="7" to="x"><query xmlns="jabber:iq:roster" ver=\'\'/></iq>',
    "<message><body>é€😀</body><a x='é'/></message>".encode(),
]
TOKENS = [
    b'<', b'>', b'/', b"'", b'"', b'&amp;', b'&lt;', b'&', b';', b']]>', b']', b'<![CDATA[x]]>',
    b'\xef\xbf\xbe', b'\xc3\xa9', b'\xff', b'\xed\xa0\x80', b" xmlns='a b'", b" a='b'", b'<a/>', b'<a>',
    b'</a>', b'\r', b'\n', b'\t', b'\x00', b'\x7f', b" xml:lang='e'", b" id='3'", b" to='x'",
    b" xmlns='http://www.w3.org/2000/xmlns/'", b'<!--x-->',
    b" xmlns='http://www.w3.org/XML/1998/namespace'", b" xmlns=''", b'&#65;', b" xmlns:x='y'", b'<x:a/>',
    b" x:a='1'", b'<?x?>', b'<!DOCTYPE a>', b'</message>', b'</body>', b'=', b' ', b'\xf4\x90\x80\x80',
    b'\xc0\x80',
]  # fmt: skip


@pytest.fixture(scope="session")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The scanner, built for this run: the tests run from the sources, where nothing is compiled."""
    compiler = which("cc") or which("gcc")
    if compiler is None or importlib.util.find_spec("Cython") is None:
        pytest.skip("no C compiler or no Cython here")
    folder = tmp_path_factory.mktemp("scanner")
    generated, library = folder / "scanner.c", folder / "scanner.so"
    subprocess.run([sys.executable, "-m", "cython", "-3", str(SOURCE), "-o", str(generated)], check=True)
    include = sysconfig.get_paths()["include"]
    if not (Path(include) / "Python.h").exists():
        pytest.skip("no Python.h here")
    command = [compiler, "-O1", "-shared", "-fPIC", f"-I{include}", str(generated), "-o", str(library)]
    subprocess.run(command, check=True)
    loader = importlib.machinery.ExtensionFileLoader("scanner", str(library))
    spec = importlib.util.spec_from_loader("scanner", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def check(found: Scan, data: bytes) -> bool:
    """Return whether the scanner accepted `data`; fail if it should not have."""
    end, name, xmlns, to, kind, identifier, sender, _, head_end, children = found
    if end < 0:
        return False
    element = parse(data[:end], CONTEXT)  # raises if expat refuses
    assert Framer(0).find_end(data) == end
    assert element.name.encode() == name
    assert element.namespace.encode() == (b"jabber:client" if xmlns is None else xmlns)
    for attribute, value in (("to", to), ("type", kind), ("id", identifier), ("from", sender)):
        assert element.get(attribute) == (None if value is None else value.decode())
    assert data[head_end : head_end + 1] in (b">", b"/")
    seen = [(child.name, child.get("id")) for child in element.elements()]
    assert seen == [
        (child[0].decode(), None if child[2] is None else child[2].decode()) for child in children
    ]
    for child, (_, declared, _, start, stop) in zip(element.elements(), children, strict=True):
        assert (
            parse(data[start:stop], b"" if xmlns is None else b" xmlns='" + xmlns + b"'").name == child.name
        )
        if declared is not None:
            assert child.namespace.encode() == declared
    return True


def mutate(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(changed) + 1)
        choice = rng.random()
        if choice < 0.5:
            changed[at:at] = rng.choice(TOKENS)
        elif choice < 0.75:
            del changed[at : at + rng.randint(1, 6)]
        else:
            changed[at : at + 1] = bytes([rng.randrange(256)])
    return bytes(changed)


def test_nothing_is_accepted_that_expat_refuses(scanner: Any, request: pytest.FixtureRequest) -> None:
    rng = random.Random(20261124)
    count: int = request.config.getoption("--mutations")

    accepted = sum(
        check(scanner.scan(data, 0), data)
        for data in (mutate(rng.choice(SEEDS), rng) for _ in range(count))
    )  # fmt: skip

    assert accepted > count // 20


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(TOKENS), st.sampled_from(SEEDS), st.binary(max_size=4)), max_size=8)
)
def test_any_row_of_tokens_is_judged_as_expat_judges(scanner: Any, tokens: list[bytes]) -> None:
    data = b"<message>" + b"".join(tokens)

    check(scanner.scan(data, 0), data)


@pytest.mark.parametrize("seed", SEEDS)
def test_ordinary_stanzas_take_the_fast_way_and_any_beginning_of_them_is_incomplete(
    scanner: Any, seed: bytes
) -> None:
    assert scanner.scan(seed, 0)[0] == len(seed)
    assert {scanner.scan(seed[:cut], 0)[0] for cut in range(len(seed))} == {-1}


@given(st.binary(max_size=60))
def test_the_exact_parser_survives_any_bytes(data: bytes) -> None:
    for judge in (parse, Framer(0).find_end):
        with contextlib.suppress(XmlError):
            judge(data)
