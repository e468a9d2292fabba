"""Which domains a certificate is for (RFC 6125 §6.4, RFC 6120 §13.7.1.2)."""

from typing import Final

from cryptography import x509

_XMPP_ADDRESS: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5")  # RFC 6120 §13.7.1.4
_SERVICE_NAME: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7")  # RFC 4985 §2
_SERVICE: Final = "_xmpp-server."
_TEXT_TAGS: Final = (0x0C, 0x16)  # UTF8String, IA5String


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """Return the domains of a certificate, small letters; `*.` in front of one stands for any label below it.

    The common name of the subject is not looked at (RFC 9525 §2).

    Raises:
        ValueError: its extensions cannot be read.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(str(error)) from error
    found = {name.lower().removesuffix(".") for name in names.get_values_for_type(x509.DNSName)}
    for other in names.get_values_for_type(x509.OtherName):
        text = _text_of(other.value)
        if other.type_id == _XMPP_ADDRESS and text and not text.startswith("*"):
            found.add(text)
        elif other.type_id == _SERVICE_NAME and text.startswith(_SERVICE):
            found.add(text.removeprefix(_SERVICE))
    # RFC 6125 §6.4.3: a wildcard is a whole label, and the only one.
    return frozenset(name for name in found if "*" not in name.removeprefix("*."))


def _text_of(value: bytes) -> str:
    """Return the text of a short DER string, in small letters; empty if it is none."""
    if len(value) < 2 or value[0] not in _TEXT_TAGS or value[1] != len(value) - 2 or value[1] > 127:
        return ""
    return value[2:].decode("utf-8", "replace").lower()
