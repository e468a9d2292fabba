"""Reads the format, account by account, however large the file is (XEP-0227 §4, §5).

What belongs to one account is held in memory, up to a limit; what is not imported is passed over. There are no
entities and no document types, and included files lie in the folder of the first one or below it.
"""

import base64
import binascii
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple
from xml.parsers import expat

from sabir.protocols.xmpp.pie.person import (
    ARCHIVE,
    BLOCKING,
    CLIENT,
    NAMESPACE,
    OWNER,
    PRIVACY,
    PRIVATE,
    PUBSUB,
    ROSTER,
    SCRAM,
    VCARD,
    Entry,
    Person,
    Shelf,
)
from sabir.wire.sasl.credentials import HASHES
from sabir.wire.sasl.types import ScramVerifier
from sabir.wire.xml import Element
from sabir.wire.xml.element import XML_NAMESPACE

INCLUDE: Final = "http://www.w3.org/2001/XInclude"
MAX_PERSON_BYTES: Final = 64 << 20
MAX_TAG_BYTES: Final = 1 << 20
"""A tag, or whatever else the parser only knows as a whole."""
MAX_DEPTH: Final = 100
MAX_SKIPPED_DEPTH: Final = 10_000
MAX_INCLUDES: Final = 1_000_000
MAX_NESTING: Final = 3
"""Files included by files: hosts, and their accounts."""
READ_BYTES: Final = 65_536

_ARCHIVES: Final = (("offline-messages", NAMESPACE), ("archive", ARCHIVE))
"""Children of an account whose children are handed over one by one."""


class PieError(Exception):
    """The file cannot be read; the text names the file and the line."""


class Source(NamedTuple):
    """A file to be read."""

    path: Path
    folder: Path
    """Of the export, resolved: what the file includes is there or below."""
    host: str
    """That the file belongs to, where its includer said so."""
    nesting: int


class Reader:
    """Reads an export of one file or more."""

    def __init__(
        self,
        paths: Iterable[Path],
        advance: Callable[[int], object] = lambda size: None,
        take: Callable[[Person, Element], None] | None = None,
    ) -> None:
        """Prepare.

        Args:
            paths: the files.
            advance: told of the bytes that were read.
            take: takes what was said (`result` or `message`), of an account of which only the name is known then;
                without it that is passed over.
        """
        self._advance: Final = advance
        self.take: Final = take
        self._sources: Final = deque([Source(path, path.resolve().parent, "", 0) for path in paths])
        self._included = 0

    def persons(self) -> Iterator[Person]:
        """Yield each account.

        Raises:
            PieError: the file is not of the format, or too large in some respect.
        """
        while self._sources:
            found = _File(self, self._sources.popleft())
            for chunk in found.chunks():
                self._advance(chunk)
                yield from found.taken()

    def later(self, source: Source) -> None:
        """Read a further file when this one is through."""
        self._sources.append(source)

    def included(self, by: Source, href: str, host: str) -> Source:
        """Return the file that `href` in another one means (XEP-0227 §5).

        Raises:
            ValueError: it may not be included.
        """
        self._included += 1
        target = (by.path.resolve().parent / href).resolve()
        if "://" in href or not href or not target.is_relative_to(by.folder):
            raise ValueError(f"{href!r} is outside of the folder of the export")
        if by.nesting >= MAX_NESTING or self._included > MAX_INCLUDES:
            raise ValueError("too many files include each other")
        return Source(target, by.folder, host, by.nesting + 1)


class _File:
    """One file on its way through the parser."""

    def __init__(self, reader: Reader, source: Source) -> None:
        self._reader = reader
        self._source = source
        self._path = source.path
        self._host = source.host
        self._done: list[Person] = []
        self._person: Person | None = None
        self._person_at = 0
        self._stack: list[Element] = []
        """The elements of an account's child that are open."""
        self._structure: list[str] = []
        """The open elements above accounts."""
        self._skipped = 0
        """Depth within something that is not kept."""
        self._in_archive = False
        self._said_at = 0
        """Where the current child of an archive begins."""
        parser = self._parser = expat.ParserCreate(namespace_separator="\n")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse

    def chunks(self) -> Iterator[int]:
        """Read the file, yielding the size of each piece when it is through the parser."""
        try:
            with self._path.open("rb") as file:
                read = 0
                while chunk := file.read(READ_BYTES):
                    self._parser.Parse(chunk, False)
                    read += len(chunk)
                    if self._person is not None and not self._skipped and self._held() > MAX_PERSON_BYTES:
                        raise ValueError(f"an account of more than {MAX_PERSON_BYTES} bytes")
                    if read - self._parser.CurrentByteIndex > MAX_TAG_BYTES:
                        raise ValueError(f"a tag of more than {MAX_TAG_BYTES} bytes")
                    yield len(chunk)
                self._parser.Parse(b"", True)
                yield 0
        except OSError as error:
            raise PieError(f"{self._path}: {error.strerror}") from None
        except expat.ExpatError as error:
            text = expat.ErrorString(error.code)
            raise PieError(f"{self._path}:{error.lineno}: {text}") from None
        except ValueError as error:
            raise PieError(f"{self._where()}: {error}") from None

    def _held(self) -> int:
        """Return how many bytes of the current account are held."""
        return self._parser.CurrentByteIndex - self._person_at

    def taken(self) -> list[Person]:
        """Return the accounts that are complete, once."""
        done, self._done = self._done, []
        return done

    def _where(self) -> str:
        return f"{self._path}:{self._parser.CurrentLineNumber}"

    def _refuse(self, *declaration: object) -> None:
        raise ValueError("document types and entities are not allowed")

    # What the parser tells

    def _start(self, full: str, attributes: dict[str, str]) -> None:
        namespace, _, name = full.rpartition("\n")
        if self._skipped:
            self._skipped += 1
            if self._skipped > MAX_SKIPPED_DEPTH:
                raise ValueError(f"more than {MAX_SKIPPED_DEPTH} levels")
        elif self._person is not None:
            self._start_within(namespace, name, attributes)
        elif namespace == INCLUDE and name == "include":
            self._reader.later(self._reader.included(self._source, attributes.get("href", ""), self._host))
            self._skipped = 1
        elif namespace != NAMESPACE:
            if not self._structure:
                raise ValueError("this is no export: it begins with another element than server-data")
            self._skipped = 1  # XEP-0227 §4: extensions are ignored
        else:
            self._start_structure(name, attributes)

    def _start_structure(self, name: str, attributes: dict[str, str]) -> None:
        if name == "server-data" and not self._structure:
            self._structure.append(name)
        elif name == "host" and self._structure in ([], ["server-data"]):
            self._host = attributes.get("jid", "").lower()
            if not self._host:
                raise ValueError("a host without a jid")
            self._structure.append(name)
        elif name == "user" and (not self._structure or self._structure[-1] == "host"):
            user = attributes.get("name", "")
            if not user or not self._host:
                raise ValueError("a user without a name, or without a host")
            self._person = Person(user, self._host, self._where(), password=attributes.get("password", ""))
            self._person_at = self._parser.CurrentByteIndex
        elif not self._structure:
            raise ValueError("this is no export: it begins with another element than server-data")
        else:
            self._skipped = 1

    def _start_within(self, namespace: str, name: str, attributes: dict[str, str]) -> None:
        person = self._person
        assert person is not None
        if not self._stack and not self._in_archive:
            if (name, namespace) in _ARCHIVES:
                self._said_at = self._parser.CurrentByteIndex
                if self._reader.take is None:
                    self._skipped = 1
                else:
                    self._in_archive = True
                return
            if (name, namespace) == ("include", INCLUDE):
                self._include_within(attributes.get("href", ""))
                self._skipped = 1
                return
        if len(self._stack) >= MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} levels")
        element = Element(name, namespace, {_named(key): value for key, value in attributes.items()})
        if self._stack:
            self._stack[-1].children.append(element)
        self._stack.append(element)

    def _include_within(self, href: str) -> None:
        """Take in a file with more of the account (XEP-0227 §5)."""
        person = self._person
        assert person is not None
        part = _File(self._reader, self._reader.included(self._source, href, self._host))
        part._person = person
        part._person_at = -self._held()  # all parts of an account count together
        for _ in part.chunks():
            pass
        self._person_at -= part._held() - self._held()

    def _end(self, full: str) -> None:
        if self._skipped:
            self._skipped -= 1
            if not self._skipped:
                self._forget_since(self._said_at)
        elif self._stack:
            element = self._stack.pop()
            if not self._stack and self._person is not None:
                self._take_child(self._person, element)
        elif self._in_archive:
            self._in_archive = False
        elif self._person is not None:
            self._done.append(self._person)
            self._person = None
        elif self._structure:
            self._structure.pop()

    def _take_child(self, person: Person, element: Element) -> None:
        if not self._in_archive or self._reader.take is None:
            _take(person, element)
            return
        self._reader.take(person, element)
        self._forget_since(self._said_at)

    def _forget_since(self, at: int) -> None:
        """Do not count what began there towards what is held of an account."""
        self._person_at += self._parser.CurrentByteIndex - at
        self._said_at = self._parser.CurrentByteIndex

    def _text(self, text: str) -> None:
        if self._stack and not self._skipped:
            children = self._stack[-1].children
            if children and isinstance(children[-1], str):
                children[-1] += text  # the parser ends a text where a piece of the file ends
            else:
                children.append(text)


def _named(key: str) -> str:
    namespace, _, name = key.rpartition("\n")
    if namespace == XML_NAMESPACE:
        return f"xml:{name}"
    return f"{{{namespace}}}{name}" if namespace else name


# What stands within an account


def _take(person: Person, element: Element) -> None:
    """Take one child of an account.

    Raises:
        ValueError: it is not what it should be.
    """
    match element.namespace, element.name:
        case (namespace, "scram-credentials") if namespace == SCRAM:
            person.verifiers.append(_verifier(element))
        case (namespace, "query") if namespace == ROSTER:
            person.entries += [_entry(item) for item in element.find_all("item") if item.get("jid")]
        case (namespace, "query") if namespace == PRIVATE:
            person.documents += [
                (each.namespace, each.name, each.to_bytes()) for each in element.elements() if each.namespace
            ]
        case (namespace, "query") if namespace == PRIVACY:
            _take_lists(person, element)
        case (namespace, "blocklist") if namespace == BLOCKING:
            person.blocked += [item.get("jid") or "" for item in element.find_all("item")]
        case (namespace, "vCard") if namespace == VCARD:
            person.card = element.to_bytes()
        case (namespace, "presence") if namespace == CLIENT and element.get("type") == "subscribe":
            if sender := element.get("from"):
                person.requests.append((sender, element.to_bytes(CLIENT)))
        case (namespace, "pubsub") if namespace == OWNER:
            for configure in element.find_all("configure"):
                _shelf(person, configure.get("node")).config = _fields(configure)
        case (namespace, "pubsub") if namespace == PUBSUB:
            for items in element.find_all("items"):
                shelf = _shelf(person, items.get("node"))
                for item in items.find_all("item"):
                    payload = item.elements()
                    shelf.items.append((item.get("id") or "", payload[0].to_bytes() if payload else b""))
        case _:
            person.leave_out(f"{element.name} ({element.namespace})")


def _verifier(element: Element) -> ScramVerifier:
    def decoded(name: str) -> bytes:
        try:
            return base64.b64decode("".join((element.child_text(name) or "").split()), validate=True)
        except binascii.Error:
            raise ValueError(f"{name} is not base64") from None

    count = (element.child_text("iter-count") or "").strip()
    if not count.isdecimal() or not 1 <= int(count) <= 10_000_000:
        raise ValueError("iter-count is no number of iterations")
    mechanism = element.get("mechanism") or ""
    salt, stored, server = decoded("salt"), decoded("stored-key"), decoded("server-key")
    size = hashlib.new(HASHES[mechanism]).digest_size if mechanism in HASHES else len(stored)
    if len(stored) != size:
        # Compat: ejabberd 23.01: base64 of base64.
        try:
            salt, stored, server = (base64.b64decode(each, validate=True) for each in (salt, stored, server))
        except binascii.Error:
            raise ValueError("a key of the wrong length") from None
    if not salt or not stored or {len(stored), len(server)} != {size}:
        raise ValueError("scram-credentials lack a salt or a key, or have one of the wrong length")
    return ScramVerifier(mechanism, int(count), salt, stored, server)


def _entry(item: Element) -> Entry:
    subscription = item.get("subscription") or "none"
    return Entry(
        item.get("jid") or "",
        item.get("name") or "",
        tuple(dict.fromkeys(group.text() for group in item.find_all("group") if group.text())),
        subscription if subscription in ("none", "to", "from", "both") else "none",
        asked=item.get("ask") == "subscribe",
        approved=item.get("approved") in ("true", "1"),
    )


def _take_lists(person: Person, element: Element) -> None:
    """Take the addresses that the default list denies; what else it does has no counterpart here (XEP-0016)."""
    default = element.find("default")
    chosen = None if default is None else default.get("name")
    for each in element.find_all("list"):
        if each.get("name") != chosen:
            continue
        for item in each.find_all("item"):
            if item.get("type") == "jid" and item.get("action") == "deny" and item.get("value"):
                person.blocked.append(item.get("value") or "")
            elif item.get("action") == "deny":
                person.leave_out("rules of privacy lists")


def _shelf(person: Person, name: str | None) -> Shelf:
    return person.shelves.setdefault(name or "", Shelf(name or ""))


def _fields(configure: Element) -> dict[str, list[str]]:
    form = configure.find("x", "jabber:x:data")
    if form is None:
        return {}
    return {
        field.get("var") or "": [value.text() for value in field.find_all("value")]
        for field in form.find_all("field")
    }
