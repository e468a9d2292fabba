"""Public keys that devices published: `sabir.core.ports.KeyStore`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from sabir.core.model.changes import KeyDeviceRow, OneTimeKeyRow
from sabir.storage import schema
from sabir.storage.sqlite import statements
from sabir.storage.sqlite.statements import in_list, listed, text_of

_devices: Final = schema.key_devices.c
_DEVICES: Final = statements.KEY_DEVICES.select(
    _devices.account_id == sa.bindparam("account_id"), order=[_devices.device_id]
)
_keys: Final = schema.device_keys.c
_OF_DEVICE: Final = (
    _keys.account_id == sa.bindparam("account_id"),
    _keys.device_id == sa.bindparam("device_id"),
    _keys.kind == sa.bindparam("kind"),
    _keys.taken_ms == sa.literal_column("0"),
)
_FREE: Final = (
    statements.ONE_TIME_KEYS.select(*_OF_DEVICE, _keys.key_id > sa.bindparam("after"), order=[_keys.key_id])
    + " LIMIT ?"
)
_COUNT: Final = text_of(sa.select(sa.func.count()).select_from(schema.device_keys).where(*_OF_DEVICE))
_changes: Final = schema.key_changes.c
_CHANGED: Final = text_of(
    sa.select(_changes.account_id)
    .where(in_list(_changes.account_id, "accounts"), _changes.changed_seq > sa.bindparam("since"))
    .order_by(_changes.account_id)
)


class KeyReading:
    """See `KeyStore`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: Final = connection

    def devices(self, account_id: int) -> list[KeyDeviceRow]:
        """See `KeyStore.devices`."""
        return statements.KEY_DEVICES.rows(self._connection, _DEVICES, (account_id,))

    def free(self, device: KeyDeviceRow, kind: int, after_id: int, limit: int) -> list[OneTimeKeyRow]:
        """See `KeyStore.free`."""
        parameters = (device.account_id, device.device_id, kind, after_id, limit)
        return statements.ONE_TIME_KEYS.rows(self._connection, _FREE, parameters)

    def count(self, device: KeyDeviceRow, kind: int) -> int:
        """See `KeyStore.count`."""
        row = self._connection.execute(_COUNT, (device.account_id, device.device_id, kind)).fetchone()
        return int(row[0])

    def changed(self, account_ids: Sequence[int], since: int) -> list[int]:
        """See `KeyStore.changed`."""
        rows = self._connection.execute(_CHANGED, (listed(account_ids), since))
        return [row[0] for row in rows]
