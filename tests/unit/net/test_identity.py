"""What certificates say of domains, and those that strangers make to be stumbled over."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sabir.net.identity import names_of

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize("names", [b"\x30\x02\xa3\x00", b"\x30\x02\xa5\x00"])
def test_names_of_kinds_that_nobody_reads_are_a_malformed_certificate_and_nothing_worse(names: bytes) -> None:
    key, nobody = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder(
        nobody, nobody, key.public_key(), 1, NOW, NOW + datetime.timedelta(days=1)
    )
    strange = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, names)

    with pytest.raises(ValueError, match="not supported types"):
        names_of(builder.add_extension(strange, critical=False).sign(key, hashes.SHA256()))
