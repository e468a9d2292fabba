"""The messages of SCRAM (RFC 5802 §7), parsed strictly."""

import base64
import binascii
from dataclasses import dataclass

from sabir.wire.sasl.types import MAX_MESSAGE_BYTES, Reason

MAX_NONCE_CHARS = 512
MAX_NAME_BYTES = 1023


class ScramSyntaxError(Exception):
    """A message that the grammar does not allow; `reason` says how to refuse it."""

    def __init__(self, reason: Reason = Reason.MALFORMED) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """`client-first-message`."""

    gs2_header: bytes
    """As sent: it comes back in `c=`."""

    binding_flag: str
    """`n`, `y` or `p`."""

    binding_type: str
    authzid: str
    username: str
    nonce: str
    bare: bytes


@dataclass(frozen=True, slots=True)
class ClientFinal:
    """`client-final-message`."""

    channel_binding: bytes
    nonce: str
    proof: bytes
    without_proof: bytes


@dataclass(frozen=True, slots=True)
class ServerFirst:
    """`server-first-message`."""

    nonce: str
    salt: bytes
    iterations: int


def parse_client_first(data: bytes) -> ClientFirst:
    """Parse the first message of a client. Raises `ScramSyntaxError`."""
    fields = _text(data).split(",", 2)
    if len(fields) != 3:
        raise ScramSyntaxError
    flag, authz, bare = fields
    binding_type = ""
    if flag.startswith("p="):
        binding_type, flag = flag[2:], "p"
    if flag not in ("n", "y", "p") or (flag == "p") != bool(binding_type):
        raise ScramSyntaxError
    authzid = decode_name(_value(authz, "a")) if authz else ""
    attributes = bare.split(",")
    if attributes[0].startswith("m="):
        raise ScramSyntaxError(Reason.EXTENSIONS_NOT_SUPPORTED)  # RFC 5802 §5.1
    if len(attributes) < 2:
        raise ScramSyntaxError
    username = decode_name(_value(attributes[0], "n"))
    nonce = _nonce(_value(attributes[1], "r"))
    header = data[: len(data) - len(bare.encode())]
    return ClientFirst(header, flag, binding_type, authzid, username, nonce, bare.encode())


def parse_client_final(data: bytes) -> ClientFinal:
    """Parse the last message of a client. Raises `ScramSyntaxError`."""
    without, separator, proof = _text(data).rpartition(",p=")
    attributes = without.split(",")
    if not separator or len(attributes) < 2:
        raise ScramSyntaxError
    binding = decode_base64(_value(attributes[0], "c"))
    nonce = _nonce(_value(attributes[1], "r"))
    return ClientFinal(binding, nonce, decode_base64(proof), without.encode())


def parse_server_first(data: bytes) -> ServerFirst:
    """Parse the challenge of a server. Raises `ScramSyntaxError`."""
    attributes = _text(data).split(",")
    if len(attributes) < 3:
        raise ScramSyntaxError
    nonce = _nonce(_value(attributes[0], "r"))
    salt = decode_base64(_value(attributes[1], "s"))
    count = _value(attributes[2], "i")
    if not (count.isascii() and count.isdigit() and len(count) <= 10):
        raise ScramSyntaxError
    return ServerFirst(nonce, salt, int(count))


def encode_name(name: str) -> str:
    """RFC 5802 §5.1: "," and "=" of a name travel as "=2C" and "=3D"."""
    return name.replace("=", "=3D").replace(",", "=2C")


def decode_name(name: str) -> str:
    """Undo `encode_name`. Raises `ScramSyntaxError` on any other "="."""
    if not name or len(name.encode()) > MAX_NAME_BYTES:
        raise ScramSyntaxError
    rest = name.replace("=2C", "").replace("=3D", "")
    if "=" in rest:
        raise ScramSyntaxError(Reason.INVALID_USERNAME)
    return name.replace("=2C", ",").replace("=3D", "=")


def decode_base64(text: str) -> bytes:
    """Decode strict base64. Raises `ScramSyntaxError`."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise ScramSyntaxError(Reason.INVALID_ENCODING) from error


def _text(data: bytes) -> str:
    if not data or len(data) > MAX_MESSAGE_BYTES or b"\0" in data:
        raise ScramSyntaxError
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ScramSyntaxError(Reason.INVALID_ENCODING) from error


def _value(attribute: str, key: str) -> str:
    if not attribute.startswith(key + "="):
        raise ScramSyntaxError
    return attribute[2:]


def _nonce(value: str) -> str:
    """RFC 5802 §7: printable ASCII without ","."""
    if not value or len(value) > MAX_NONCE_CHARS or not (value.isascii() and value.isprintable()):
        raise ScramSyntaxError
    if " " in value:
        raise ScramSyntaxError
    return value
