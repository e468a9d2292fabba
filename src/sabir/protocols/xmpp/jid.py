"""Addresses (RFC 7622): parsed once, prepared for comparison, cached.

Where PRECIS and the older stringprep profiles differ, both are accepted: what an older server let in must
stay reachable. So code points are mapped as Nodeprep did (compatibility forms, case folding) and refused only
if neither of the two would have taken them.
"""

import encodings.idna
import ipaddress
import re
import stringprep
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

MAX_PART_BYTES: Final = 1023
"""RFC 7622 §3.1: each part is at most 1023 octets."""

_ASCII_LOCAL: Final = re.compile(r"[a-z0-9!#$%()*+,\-.;=?\[\\\]^_`{|}~]{1,1023}")
_ASCII_DOMAIN: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*")
_ASCII_RESOURCE: Final = re.compile(r"[ -~]{1,1023}")
_FORBIDDEN_LOCAL: Final = frozenset("\"&'/:<>@")
_PROHIBITED: Final = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


class JidSyntaxError(ValueError):
    """Raised for text that is no address."""


@dataclass(frozen=True, slots=True)
class Jid:
    """An address: `local@domain/resource`, local and resource empty where absent."""

    local: str
    domain: str
    resource: str = ""

    @property
    def bare(self) -> "Jid":
        """The address without its resource."""
        return Jid(self.local, self.domain) if self.resource else self

    def __str__(self) -> str:
        text = self.local + "@" + self.domain if self.local else self.domain
        return text + "/" + self.resource if self.resource else text


@lru_cache(maxsize=8192)
def parse_jid(text: str) -> Jid:
    """Return the address that `text` writes, prepared so that equal addresses compare equal.

    Raises:
        JidSyntaxError: if it is no address.
    """
    # RFC 7622 §3.2: the first slash ends the domain, the first at-sign before it the localpart.
    rest, slash, resource = text.partition("/")
    local, at, domain = rest.rpartition("@") if rest.count("@") == 1 else ("", "", rest)
    if (slash and not resource) or (at and not local):
        raise JidSyntaxError("an empty part")
    return Jid(
        prepare_local(local) if local else "",
        prepare_domain(domain),
        prepare_resource(resource) if resource else "",
    )


def parse_jid_bytes(data: bytes) -> Jid:
    """Return the address that an attribute value without entities writes.

    Raises:
        JidSyntaxError: if it is no address.
    """
    return parse_jid(data.decode())


def prepare_local(local: str) -> str:
    """Return a localpart prepared for comparison (RFC 7622 §3.3, UsernameCaseMapped of RFC 8265).

    Raises:
        JidSyntaxError: if it cannot be one.
    """
    if _ASCII_LOCAL.fullmatch(local):
        return local
    lowered = local.lower()
    if local.isascii():
        if not _ASCII_LOCAL.fullmatch(lowered):
            raise JidSyntaxError("a localpart with characters that none may have")
        return lowered
    mapped = "".join([stringprep.map_table_b2(char) for char in local if not stringprep.in_table_b1(char)])
    prepared = unicodedata.normalize("NFKC", mapped)
    _check(prepared, _FORBIDDEN_LOCAL)
    if " " in prepared:
        raise JidSyntaxError("a localpart with a space")
    return prepared


def prepare_resource(resource: str) -> str:
    """Return a resource prepared for comparison (RFC 7622 §3.4, OpaqueString of RFC 8265).

    Raises:
        JidSyntaxError: if it cannot be one.
    """
    if _ASCII_RESOURCE.fullmatch(resource):
        return resource
    spaced = "".join([" " if unicodedata.category(char) == "Zs" else char for char in resource])
    prepared = unicodedata.normalize("NFC", spaced)
    _check(prepared, frozenset())
    return prepared


def prepare_domain(domain: str) -> str:
    """Return a domain prepared for comparison (RFC 7622 §3.2).

    Raises:
        JidSyntaxError: if it cannot be one.
    """
    lowered = domain.lower().removesuffix(".")
    if _ASCII_DOMAIN.fullmatch(lowered) and len(lowered) <= MAX_PART_BYTES:
        return lowered
    if lowered.startswith("[") and lowered.endswith("]"):
        try:
            return "[" + ipaddress.IPv6Address(lowered[1:-1]).compressed + "]"
        except ValueError:
            raise JidSyntaxError("no IPv6 address") from None
    if lowered.isascii():
        raise JidSyntaxError("no domain")
    labels = re.split("[.\u3002\uff0e\uff61]", domain)
    try:
        prepared = ".".join([encodings.idna.nameprep(label) for label in labels]).removesuffix(".")
    except UnicodeError:
        raise JidSyntaxError("no domain") from None
    if (
        not prepared
        or len(prepared.encode()) > MAX_PART_BYTES
        or any(not label for label in prepared.split("."))
    ):
        raise JidSyntaxError("no domain")
    _check(prepared, _FORBIDDEN_LOCAL)
    if " " in prepared or (prepared.isascii() and not _ASCII_DOMAIN.fullmatch(prepared.lower())):
        raise JidSyntaxError("no domain")  # what preparing made of it is none either
    return prepared.lower()


def _check(text: str, forbidden: frozenset[str]) -> None:
    size = len(text.encode("utf-8", "surrogatepass"))
    if not 0 < size <= MAX_PART_BYTES:
        raise JidSyntaxError("an empty or too long part")
    for char in text:
        if (
            char in forbidden
            or any(table(char) for table in _PROHIBITED)
            or unicodedata.category(char) == "Cn"
        ):
            raise JidSyntaxError("a character that no address may have")
    # RFC 3454 §6: text of both directions is refused.
    if any(map(stringprep.in_table_d1, text)):
        if any(map(stringprep.in_table_d2, text)):
            raise JidSyntaxError("text of both directions")
        if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
            raise JidSyntaxError("text of both directions")


def jid_of(text: str) -> Jid | None:
    """Return the address that `text` is, or None if it is none."""
    try:
        return parse_jid(text)
    except JidSyntaxError:
        return None


def domain_of(text: str) -> str:
    """Return the domain of an address, empty if `text` is none."""
    jid = jid_of(text)
    return "" if jid is None else jid.domain
