"""An application message in all the forms that subscribers are sent (MQTT 5.0 §3.3). Compiled by mypyc.

A form is encoded once for all who are sent the same: by version, QoS, RETAIN, and the few who asked for
subscription identifiers. The packet identifier is spliced in for each.
"""

from __future__ import annotations

from typing import Final

from sabir.protocols.mqtt.codec.fields import put_text, put_u16, put_variable
from sabir.protocols.mqtt.codec.properties import put_properties
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import NONE, Properties

_MS_PER_S: Final = 1000
_EMPTY: Final = b""
_MESSAGE_BYTES: Final = 200
_FORMS: Final = 16
_FORM_5: Final = 8
_NO_IDS: Final[tuple[int, ...]] = ()


class Form:
    """A packet without its packet identifier: what comes before and after it."""

    def __init__(self, before: bytes, after: bytes) -> None:
        self.before: Final = before
        self.after: Final = after
        self.size: Final = len(before) + len(after) + 2


class Message:
    """What was published, as the broker keeps it."""

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        retain: bool,
        properties: Properties = NONE,
        expires_ms: int = 0,
    ) -> None:
        """Note what was published.

        Args:
            topic: never empty.
            payload: as it came.
            qos: at which it was published.
            retain: as it was published.
            properties: those that go on to subscribers, without an expiry interval.
            expires_ms: when it is not to be delivered any more; 0 = never.
        """
        self.topic: Final = topic
        self.payload: Final = payload
        self.qos: Final = qos
        self.retain: Final = retain
        self.properties: Final = properties
        self.expires_ms: Final = expires_ms
        self.size: Final = (
            len(payload) + len(topic) + _MESSAGE_BYTES + (0 if properties is NONE else properties.size)
        )
        """Roughly what it costs to keep, in bytes."""
        self.account_id = 0
        """Who published what is retained; 0 = nobody with an account."""
        self.stays = retain and len(payload) > 0
        """It is kept for those who subscribe later."""
        self.row = 0
        """Its number in the store; 0 = it is in memory only."""
        self.seq = 0
        """The number of the entry of the log that it shows; 0 = it is none."""
        self.users = 0
        """How many places in the store need that row."""
        self.frame4 = _EMPTY
        """The whole packet at QoS 0 in 3.1.1, once it is known."""
        self.frame5 = _EMPTY
        """The same in 5.0."""
        self._forms: list[Form | None] | None = None
        self._special: dict[tuple[int, int, tuple[int, ...]], Form] | None = None

    def frame(self, version: int) -> bytes:
        """Return the whole packet at QoS 0 without RETAIN, for those who asked for no subscription identifier."""
        if version == p.V5:
            if not self.frame5:
                form = self.form(p.V5, 0, False)
                self.frame5 = form.before + form.after
            return self.frame5
        if not self.frame4:
            form = self.form(p.V311, 0, False)
            self.frame4 = form.before + form.after
        return self.frame4

    def form(self, version: int, qos: int, retain: bool) -> Form:
        """Return the form for those who asked for no subscription identifier; not for a message that expires."""
        key = qos << 1 | retain
        if version == p.V5:
            key |= _FORM_5
        forms = self._forms
        if forms is None:
            forms = self._forms = [None] * _FORMS
        found = forms[key]
        if found is None:
            found = forms[key] = self._encode(version, qos, retain, _NO_IDS, -1)
        return found

    def special(
        self, version: int, qos: int, retain: bool, subscription_ids: tuple[int, ...], now_ms: int
    ) -> Form:
        """Return the form for those who asked for these subscription identifiers, or of a message that expires."""
        if version != p.V5 or (not subscription_ids and not self.expires_ms):
            return self.form(version, qos, retain)
        # [MQTT-3.3.2-6]: the time that the message waited here is taken off
        left_s = -(-(self.expires_ms - now_ms) // _MS_PER_S) if self.expires_ms else -1
        key = (qos << 1 | retain, left_s, subscription_ids)
        forms = self._special
        if forms is None:
            forms = self._special = {}
        found = forms.get(key)
        if found is None:
            if len(forms) >= _FORMS:
                forms.clear()
            found = forms[key] = self._encode(version, qos, retain, subscription_ids, left_s)
        return found

    def aliased(
        self,
        qos: int,
        retain: bool,
        subscription_ids: tuple[int, ...],
        now_ms: int,
        alias: int,
        is_known: bool,
    ) -> Form:
        """Return the form for one client, which is told an alias of the topic, or knows it already."""
        left_s = -(-(self.expires_ms - now_ms) // _MS_PER_S) if self.expires_ms else -1
        return self._encode(p.V5, qos, retain, subscription_ids, left_s, alias, is_known)

    def _encode(
        self,
        version: int,
        qos: int,
        retain: bool,
        subscription_ids: tuple[int, ...],
        left_s: int,
        alias: int = 0,
        is_known: bool = False,
    ) -> Form:
        head = bytearray()
        put_text(head, "" if is_known else self.topic)
        tail = bytearray()
        if version == p.V5:
            properties = self.properties
            if subscription_ids or left_s >= 0 or alias:
                properties = self._with(subscription_ids, left_s, alias)
            put_properties(tail, properties)
        tail += self.payload
        before = bytearray((p.PUBLISH << 4 | qos << 1 | retain,))
        put_variable(before, len(head) + len(tail) + (2 if qos else 0))
        before += head
        return Form(bytes(before), bytes(tail))

    def _with(self, subscription_ids: tuple[int, ...], left_s: int, alias: int) -> Properties:
        own = self.properties
        made = Properties()
        made.numbers.update(own.numbers)
        made.texts.update(own.texts)
        made.data.update(own.data)
        made.users.extend(own.users)
        made.subscription_ids.extend(subscription_ids)
        if left_s >= 0:
            made.numbers[ids.MESSAGE_EXPIRY] = left_s
        if alias:
            made.numbers[ids.TOPIC_ALIAS] = alias
        return made


def packet_id_bytes(packet_id: int) -> bytes:
    """Return a packet identifier as it stands in a packet."""
    out = bytearray()
    put_u16(out, packet_id)
    return bytes(out)


def duplicate(before: bytes) -> bytes:
    """Return the first part of a packet with DUP set ([MQTT-3.3.1-1])."""
    return bytes((before[0] | 8,)) + before[1:]
