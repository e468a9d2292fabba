"""OMEMO as most people still use it: `eu.siacs.conversations.axolotl` (XEP-0384 up to version 0.3), over our ratchet.

Keys travel in messages of version 3 of the Signal protocol (X3DH and Double Ratchet, without what came later), texts
under AES-128-GCM. Nothing but a text is encrypted.
"""

from sabir.client.encryption.legacy.backend import Legacy, ensure_identity
from sabir.client.encryption.legacy.elements import (
    bundle_node,
    read_bundle,
    read_devices,
    read_message,
    write_bundle,
    write_devices,
    write_message,
)
from sabir.client.encryption.legacy.values import LegacyBundle

__all__ = [
    "Legacy",
    "LegacyBundle",
    "bundle_node",
    "ensure_identity",
    "read_bundle",
    "read_devices",
    "read_message",
    "write_bundle",
    "write_devices",
    "write_message",
]
