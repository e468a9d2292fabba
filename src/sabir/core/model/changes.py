"""Durable things that are not messages: latest value only, numbered by the same counter as the log.

One struct per table of DATAMODEL section 2; the field names are the columns. Storage upserts a row by its
key, or deletes it where `gone` is true (rows of tables with `changed_seq` stay, with a null value, until
swept). `changed_seq` is filled in when the batch is numbered.
"""

from __future__ import annotations

from typing import Final

import msgspec


class Change(msgspec.Struct, kw_only=True):
    """Base of all rows."""

    changed_seq: int = 0
    gone: bool = False


class AccountRow(Change):
    """accounts; key: id."""

    id: int
    uuid: bytes
    name: str
    state: str
    box_head: int
    generation: int
    delivered_seq: int
    display: str
    created_ms: int


TOKEN: Final = "token:"
"""What the mechanism of a device's tokens begins with; the device's id follows."""


class CredentialRow(Change):
    """credentials; key: account_id, mechanism. `verifier` is that mechanism's own, never a password."""

    account_id: int
    mechanism: str
    verifier: bytes


class ActorRow(Change):
    """actors; key: id."""

    id: int
    kind: str
    name: str
    account_id: int | None
    protocol: str
    uri: str


class ConversationRow(Change):
    """conversations; key: id. The counters are written behind the watermark, from the log."""

    id: int
    uuid: bytes
    kind: str
    name: str
    authority: str
    visibility: str
    encryption: str
    state_version: int
    generation: int
    destroyed: bool
    party_lo: int = 0
    party_hi: int = 0
    """Account ids of a direct conversation, lower first."""
    peer: int = 0
    """Actor id of the party who is of another server, 0 if there is none."""


class MemberRow(Change):
    """members; key: conversation_id, actor_id."""

    conversation_id: int
    actor_id: int
    membership: str
    role: int
    nick: str
    durable: bool
    reason: str
    since: int
    """Where the open span of `member_spans` begins; 0 for none."""


class SpanRow(Change):
    """member_spans; key: conversation_id, actor_id, from_position. `to_position` 0: still a member."""

    conversation_id: int
    actor_id: int
    from_position: int
    to_position: int


class StateRow(Change):
    """state, current values; key: conversation_id, type, key. `value` is MessagePack."""

    conversation_id: int
    type: str
    key: str
    value: bytes


class RelationRow(Change):
    """relations; key: target_seq, kind, actor_id, key.

    `seq` is the entry that made it (filled at numbering).
    """

    target_seq: int
    kind: int
    actor_id: int
    key: str
    seq: int = 0


class ContactRow(Change):
    """roster; key: account_id, actor_id. `flags` packs the booleans of `Contact` and `blocked`."""

    account_id: int
    actor_id: int
    name: str
    groups: tuple[str, ...]
    flags: int
    request: bytes


class BlockRow(Change):
    """blocks; key: account_id, name (an actor's address as the blocking client gave it)."""

    account_id: int
    name: str


class DataRow(Change):
    """account_data; key: account_id, conversation_id (0: none), type."""

    account_id: int
    conversation_id: int
    type: str
    value: bytes


class ReadRow(Change):
    """reads; key: account_id, conversation_id, thread, kind."""

    account_id: int
    conversation_id: int
    thread: str
    kind: str
    position: int
    message_no: int
    at_ms: int


class ReceiptRow(Change):
    """receipts; key: conversation_id, actor_id, thread, kind."""

    conversation_id: int
    actor_id: int
    thread: str
    kind: str
    position: int


class PushRow(Change):
    """pushes; key: account_id, protocol, service, node. How a device is woken that is not connected."""

    account_id: int
    protocol: str
    service: str
    """Who wakes it, in the words of the protocol by which it was registered."""
    node: str
    """Which device, in the words of the service."""
    resource: str
    """The device that registered."""
    options: dict[str, str]
    """What the service wants to be told each time."""
    at_ms: int


READY: Final = "ready"
ERASED: Final = "erased"
"""The states of a file: one to be read, and one whose bytes are still to be deleted."""


class MediaRow(Change):
    """media; key: id. `store_key` names its bytes, and is its address: nobody can guess it."""

    id: int
    store_key: str
    name: str
    size: int
    mime: str
    sha256: bytes
    actor_id: int
    at_ms: int
    state: str


class MediaRefRow(Change):
    """media_refs; key: media_id, seq. An entry of the log names a file."""

    media_id: int
    seq: int


class MqttSessionRow(Change):
    """mqtt_sessions; key: id. Gone with everything that waits in it."""

    id: int
    account_id: int = 0
    """0 for a client without account."""
    client_id: str = ""
    expiry_s: int = 0
    expires_ms: int = 0
    """0 while the client is connected, or if the session never expires."""
    will: bytes = b""
    """What is published if the client goes without saying goodbye, as its protocol packs it; empty if nothing."""
    will_due_ms: int = 0
    """0 while the client is connected."""
    chat_seq: int = 0
    """The entry of the log up to which the client has what was said; 0 if it does not want to know."""


class MqttFilterRow(Change):
    """mqtt_filters; key: session_id, filter. `flags` are the options of the subscription as its protocol packs them."""

    session_id: int
    filter: str
    flags: int = 0
    sub_id: int = 0
    since_seq: int = 0
    """The last entry of the log before it was subscribed to, where the filter is about what is said."""


class MqttMessageRow(Change):
    """mqtt_messages; key: id. Kept while a row of `mqtt_queue` or `mqtt_retained` names it."""

    id: int
    topic: str = ""
    payload: bytes = b""
    properties: bytes = b""
    qos: int = 0
    expires_ms: int = 0


class MqttQueueRow(Change):
    """mqtt_queue; key: session_id, n. What waits for a client, or waits for its acknowledgement."""

    session_id: int
    n: int
    message_id: int = 0
    qos: int = 0
    retain: bool = False
    released: bool = False
    """QoS 2: the client has it, and owes the last acknowledgement."""
    sub_ids: tuple[int, ...] = ()
    share: str = ""


class MqttReceivedRow(Change):
    """mqtt_received; key: session_id, packet_id. What came at QoS 2 and was not released."""

    session_id: int
    packet_id: int


class MqttRetainedRow(Change):
    """mqtt_retained; key: topic."""

    topic: str
    message_id: int = 0
    account_id: int = 0
    """Whose message it is; 0 for a client without account."""


class ForgetAccount(Change):
    """Not a row: delete what is kept for this account alone (credentials, contacts, blocks, data, markers)."""

    account_id: int


class NodeRow(Change):
    """pubsub_nodes; key: id. `config` is MessagePack; `access` says what it says of that, for queries."""

    id: int
    owner_actor: int
    name: str
    access: str
    config: bytes


class ItemRow(Change):
    """pubsub_items; key: node_id, item_id. `publisher` is an actor; `at_ms` the time of the publication."""

    node_id: int
    item_id: str
    publisher: int
    payload: bytes
    at_ms: int


class SubscriberRow(Change):
    """pubsub_subscribers; key: node_id, jid: the name of a local account or a whole address, maybe `/` a device."""

    node_id: int
    jid: str
    state: str
    affiliation: str


class NodeCleared(Change):
    """Not a row: delete all items of a node, and with `subscribers` those too."""

    node_id: int
    subscribers: bool


class VoucherRow(Change):
    """vouchers; key: digest, of the secret that its holder shows. `account_id` is who gave it, 0 for the operator."""

    digest: bytes
    account_id: int
    name: str
    """The only name that an account may be made with; empty: any."""
    uses: int
    expires_ms: int
    registers: bool
    befriends: bool


class ForgetTokens(Change):
    """Not a row: delete the tokens of an account's devices (`credentials` whose mechanism begins with `TOKEN`)."""

    account_id: int


class PeerRow(Change):
    """peers; key: id. Another server to which something waited once."""

    id: int
    domain: str
    transport: str


class PeerQueueRow(Change):
    """peer_queue; key: peer_id, n. What waits for another server; `payload` is what `kind` says."""

    peer_id: int
    n: int
    kind: str
    payload: bytes
    expires_ms: int


class ReportRow(Change):
    """reports; key: id. `messages` are event ids, 16 bytes each."""

    id: bytes
    at_ms: int
    reporter: int
    """An actor's id."""
    reported: str
    reason: str
    text: str
    messages: bytes


class KeyDeviceRow(Change):
    """key_devices; key: account_id, device_id. What a device published that is given to everybody; keys serialised."""

    account_id: int
    device_id: int
    registration_id: int
    identity_key: bytes
    signed_id: int
    signed_key: bytes
    signed_signature: bytes
    signed_ms: int
    """When the signed prekey came."""
    kyber_id: int
    kyber_key: bytes
    kyber_signature: bytes
    kyber_ms: int
    """When the last-resort prekey came."""


class OneTimeKeyRow(Change):
    """device_keys; key: account_id, device_id, kind, key_id. One that is there, or was handed out, stays as it is."""

    account_id: int
    device_id: int
    kind: int
    key_id: int
    key: bytes
    signature: bytes


class KeyTaken(Change):
    """Not a row: a row of device_keys was handed out. Its number stays for a while, so that it cannot come again."""

    account_id: int
    device_id: int
    kind: int
    key_id: int
    taken_ms: int


class KeysCleared(Change):
    """Not a row: delete all rows of device_keys of a device."""

    account_id: int
    device_id: int


class KeyChangeRow(Change):
    """key_changes; key: account_id. When the devices or identity keys of an account changed last."""

    account_id: int


class ImportRow(Change):
    """log_imports; key: first_seq. Entries from elsewhere, with the times and ids that they had there."""

    first_seq: int
    last_seq: int


class EraseBody(Change):
    """Not a row: delete the bodies and renderings of these log numbers in the same transaction."""

    seqs: tuple[int, ...]
