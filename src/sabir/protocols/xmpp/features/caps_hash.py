"""The hash by which a client says what it can do (XEP-0115 §5, XEP-0390 §4): which one, and whether it is true."""

import base64
import hashlib
from collections.abc import Iterable
from typing import Final

from sabir.wire.xml import Element

CAPS: Final = "http://jabber.org/protocol/caps"
CAPS2: Final = "urn:xmpp:caps"
_HASHES: Final = "urn:xmpp:hashes:2"
_INFO: Final = "http://jabber.org/protocol/disco#info"
_DATA: Final = "jabber:x:data"
_LANG: Final = "xml:lang"
_ALGORITHMS: Final = {
    "sha-1": "sha1",
    "sha-224": "sha224",
    "sha-256": "sha256",
    "sha-384": "sha384",
    "sha-512": "sha512",
    "sha3-256": "sha3_256",
    "sha3-512": "sha3_512",
    "blake2b-512": "blake2b",
}
"""Names of RFC 3279 and XEP-0300 for what `hashlib` has."""
_STRONG: Final = ("sha-256", "sha3-256", "sha-512", "sha3-512", "blake2b-512")
MAX_CHARS: Final = 1_024
"""Of what a client claims."""


class Claim:
    """What a presence claims: the hash `value` by `algorithm`, and the node to be asked.

    `algorithm` is empty where the value is no hash that could be checked (XEP-0115 §13).
    """

    __slots__ = ("algorithm", "node", "scheme", "value")

    def __init__(self, scheme: str, algorithm: str, value: str, node: str) -> None:
        self.scheme: str = scheme
        self.algorithm: str = algorithm
        self.value: str = value
        self.node: str = node

    @property
    def key(self) -> tuple[str, str, str]:
        """What equal claims have in common."""
        return self.scheme, self.algorithm, self.value

    def holds(self, info: Element) -> bool:
        """Return whether the answer to a disco#info request is what was claimed."""
        if not self.algorithm:
            return False
        text = _text2(info) if self.scheme == CAPS2 else _text(info)
        if text is None:
            return False
        digest = hashlib.new(_ALGORITHMS[self.algorithm], text).digest()
        return base64.b64encode(digest).decode() == self.value


def read(presence: Element) -> Claim | None:
    """Return what a presence claims, None if it does not say."""
    claims = presence.find("c", CAPS2)
    if claims is not None:
        hashes = {each.get("algo"): each.text().strip() for each in claims.find_all("hash", _HASHES)}
        for algorithm in _STRONG:
            value = hashes.get(algorithm)
            if value and len(value) <= MAX_CHARS:
                # XEP-0390 §4.3
                return Claim(CAPS2, algorithm, value, f"{CAPS2}#{algorithm}.{value}")
    claim = presence.find("c", CAPS)
    if claim is None:
        return None
    value, node = claim.get("ver") or "", claim.get("node") or ""
    if not value or not node or len(value) + len(node) > MAX_CHARS:
        return None
    algorithm = claim.get("hash") or ""
    # XEP-0115 §5.4: what cannot be checked is asked of each client
    return Claim(CAPS, algorithm if algorithm in _ALGORITHMS else "", value, f"{node}#{value}")


def features_of(info: Element) -> list[str]:
    """Return the features of an answer."""
    return [feature.get("var") or "" for feature in info.find_all("feature", _INFO)]


def _text(info: Element) -> bytes | None:
    """XEP-0115 §5.1: what is hashed; None for what is ill-formed."""
    identities = sorted(
        [
            (
                each.get("category") or "",
                each.get("type") or "",
                each.get(_LANG) or "",
                each.get("name") or "",
            )
            for each in info.find_all("identity", _INFO)
        ]
    )
    features = sorted(features_of(info))
    forms: dict[str, list[str]] = {}
    for form in info.find_all("x", _DATA):
        kinds = [field for field in form.find_all("field") if field.get("var") == "FORM_TYPE"]
        if not kinds or kinds[0].get("type") != "hidden":
            continue
        types = {value.text() for value in kinds[0].find_all("value")}
        if len(kinds) != 1 or len(types) != 1 or forms.keys() & types:
            return None
        fields = [field for field in form.find_all("field") if field is not kinds[0]]
        forms[types.pop()] = _fields(fields)
    if len(set(identities)) != len(identities) or len(set(features)) != len(features):
        return None
    parts = ["/".join(identity) for identity in identities] + features
    for type_ in sorted(forms):
        parts += (type_, *forms[type_])
    if any("<" in part for part in parts):
        return None  # XEP-0115 §9.2: it is what stands between them
    return "".join([part + "<" for part in parts]).encode()


def _fields(fields: Iterable[Element]) -> list[str]:
    parts: list[str] = []
    for name, values in sorted(
        [
            (field.get("var") or "", sorted([value.text() for value in field.find_all("value")]))
            for field in fields
        ]
    ):
        parts += (name, *values)
    return parts


def _text2(info: Element) -> bytes | None:
    """XEP-0390 §4.1: what is hashed; None for what is ill-formed."""
    features: list[bytes] = []
    identities: list[bytes] = []
    forms: list[bytes] = []
    for child in info.elements():
        if child.name == "feature" and child.namespace == _INFO:
            features.append(_ended(child.get("var"), b"\x1f"))
        elif child.name == "identity" and child.namespace == _INFO:
            texts = [child.get(key) for key in ("category", "type", _LANG, "name")]
            identities.append(b"".join([_ended(text, b"\x1f") for text in texts]) + b"\x1e")
        elif child.name == "x" and child.namespace == _DATA:
            fields = child.find_all("field")
            if child.find("reported") or child.find("item"):
                return None
            if not any(field.get("var") == "FORM_TYPE" for field in fields):
                return None
            forms.append(b"".join(sorted([_field2(field) for field in fields])) + b"\x1d")
        else:
            return None
    return b"".join([b"".join(sorted(each)) + b"\x1c" for each in (features, identities, forms)])


def _field2(field: Element) -> bytes:
    values = sorted([_ended(value.text(), b"\x1f") for value in field.find_all("value")])
    return _ended(field.get("var"), b"\x1f") + b"".join(values) + b"\x1e"


def _ended(text: str | None, end: bytes) -> bytes:
    return (text or "").encode() + end
