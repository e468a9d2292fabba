"""The version of OMEMO as a backend of the `OMEMO` library: its keys, its sessions, its ciphers."""

from __future__ import annotations

import json
import secrets
import time
from typing import Final, cast

import msgspec
import xeddsa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from omemo.backend import Backend, DecryptionFailed, KeyExchangeFailed
from omemo.bundle import Bundle
from omemo.identity_key_pair import IdentityKeyPair
from omemo.message import Content, EncryptedKeyMaterial, KeyExchange, PlainKeyMaterial
from omemo.session import Initiation, Session
from omemo.storage import Storage

from sabir.client.encryption.legacy.values import (
    KEY_BYTES,
    NAMESPACE,
    TAG_BYTES,
    KeyMessage,
    LegacyBundle,
    LegacyContent,
    LegacyExchange,
    LegacyKeys,
    LegacyPlainKeys,
)
from sabir.crypto import cbc, curve, double_ratchet, kdf, x3dh
from sabir.crypto.curve import KeyPair
from sabir.crypto.double_ratchet import DoubleRatchet
from sabir.crypto.errors import InvalidKeyError, SignalProtocolError

AGREEMENT_INFO: Final = b"WhisperText"
MESSAGE_INFO: Final = b"WhisperMessageKeys"
IV_BYTES: Final = 12
MAX_ID: Final = 2**31 - 1


class SignedPreKey(msgspec.Struct, frozen=True):
    """A signed prekey of ours."""

    number: int
    private: bytes
    signature: bytes
    made_at: int


class OwnKeys(msgspec.Struct):
    """Our prekeys; `hidden` ones were used, and are kept until what was missed has been read."""

    signed: SignedPreKey
    before: SignedPreKey | None
    prekeys: dict[int, bytes]
    hidden: list[int]
    next_id: int


class Kept(msgspec.Struct):
    """A session as it is stored."""

    initiation: str
    confirmed: bool
    their_identity: bytes
    exchange: tuple[bytes, bytes, int, int]
    ratchet: bytes


class LegacySession(Session):
    """A session with one device."""

    def __init__(
        self,
        bare_jid: str,
        device_id: int,
        initiation: Initiation,
        exchange: LegacyExchange,
        their_identity: bytes,
        ratchet: DoubleRatchet,
        confirmed: bool,
    ) -> None:
        self._bare_jid: Final = bare_jid
        self._device_id: Final = device_id
        self._initiation: Final = initiation
        self._exchange: Final = exchange
        self.their_identity: Final = their_identity
        self.ratchet = ratchet
        self._confirmed = confirmed

    @property
    def namespace(self) -> str:
        """The version of OMEMO."""
        return NAMESPACE

    @property
    def bare_jid(self) -> str:
        """Whose device it is."""
        return self._bare_jid

    @property
    def device_id(self) -> int:
        """The number of the device."""
        return self._device_id

    @property
    def initiation(self) -> Initiation:
        """Who began."""
        return self._initiation

    @property
    def confirmed(self) -> bool:
        """Whether the other side has answered."""
        return self._confirmed

    @property
    def key_exchange(self) -> LegacyExchange:
        """What made the session."""
        return self._exchange

    @property
    def receiving_chain_length(self) -> int | None:
        """How many messages came since we last wrote."""
        return self.ratchet.receiving[-1].index if self.ratchet.receiving else None

    @property
    def sending_chain_length(self) -> int:
        """How many messages we wrote since one last came."""
        return self.ratchet.sent

    def confirm(self) -> None:
        """Note that the other side has answered."""
        self._confirmed = True


class Legacy(Backend):
    """The backend."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(double_ratchet.MAX_SKIPPED)
        self._storage: Final = storage

    @property
    def namespace(self) -> str:
        """The version of OMEMO."""
        return NAMESPACE

    # Sessions

    async def load_session(self, bare_jid: str, device_id: int) -> LegacySession | None:
        """Return the session with a device, if there is one."""
        found = await self._storage.load_primitive(_session_key(bare_jid, device_id), str)
        if found.is_nothing:
            return None
        kept = msgspec.json.decode(found.from_just(), type=Kept)
        return LegacySession(
            bare_jid,
            device_id,
            Initiation(kept.initiation),
            LegacyExchange(*kept.exchange),
            kept.their_identity,
            DoubleRatchet.deserialize(kept.ratchet),
            kept.confirmed,
        )

    async def store_session(self, session: Session) -> None:
        """Keep a session in place of the one before."""
        assert isinstance(session, LegacySession)
        exchange = session.key_exchange
        kept = Kept(
            session.initiation.value,
            session.confirmed,
            session.their_identity,
            (exchange.identity, exchange.base_key, exchange.signed_prekey_id, exchange.prekey_id),
            session.ratchet.serialize(),
        )
        await self._storage.store(
            _session_key(session.bare_jid, session.device_id), msgspec.json.encode(kept).decode()
        )
        known = await self._sessions()
        known.setdefault(session.bare_jid, [])
        if session.device_id not in known[session.bare_jid]:
            known[session.bare_jid].append(session.device_id)
            await self._storage.store(f"/{NAMESPACE}/sessions", json.dumps(known))

    async def build_session_active(
        self, bare_jid: str, device_id: int, bundle: Bundle, plain_key_material: PlainKeyMaterial
    ) -> tuple[LegacySession, LegacyKeys]:
        """Begin a session, and encrypt the first key in it (X3DH §3.3)."""
        assert isinstance(bundle, LegacyBundle)
        try:
            if not curve.verify(bundle.identity, bundle.signed_prekey, bundle.signature):
                raise KeyExchangeFailed("the signed prekey is not signed by its owner")
            if not bundle.prekeys:
                raise KeyExchangeFailed("there are no one-time prekeys left")
            number = secrets.choice(list(bundle.prekeys))
            base, own = KeyPair.generate(), await self._identity()
            secret = x3dh.initiate(own, base, bundle.identity, bundle.signed_prekey, bundle.prekeys[number])
        except InvalidKeyError as error:
            raise KeyExchangeFailed(str(error)) from None
        exchange = LegacyExchange(own.public_key, base.public_key, bundle.signed_prekey_id, number)
        ratchet = DoubleRatchet.begin(_root_key(secret), bundle.signed_prekey)
        session = LegacySession(
            bare_jid, device_id, Initiation.ACTIVE, exchange, bundle.identity, ratchet, False
        )
        return session, await self.encrypt_key_material(session, plain_key_material)

    async def build_session_passive(
        self,
        bare_jid: str,
        device_id: int,
        key_exchange: KeyExchange,
        encrypted_key_material: EncryptedKeyMaterial,
    ) -> tuple[LegacySession, LegacyPlainKeys]:
        """Make the session that another device began, and decrypt the first key in it (X3DH §3.4)."""
        assert isinstance(key_exchange, LegacyExchange)
        keys = await self._keys()
        signed = next(
            (
                one
                for one in (keys.signed, keys.before)
                if one and one.number == key_exchange.signed_prekey_id
            ),
            None,
        )
        prekey = keys.prekeys.get(key_exchange.prekey_id)
        if signed is None or prekey is None:
            raise KeyExchangeFailed("made with keys that this device no longer has")
        signed_pair = KeyPair.from_private(signed.private)
        try:
            secret = x3dh.answer(
                await self._identity(),
                signed_pair,
                KeyPair.from_private(prekey),
                key_exchange.identity,
                key_exchange.base_key,
            )
        except InvalidKeyError as error:
            raise KeyExchangeFailed(str(error)) from None
        ratchet = DoubleRatchet.answer(_root_key(secret), signed_pair)
        session = LegacySession(
            bare_jid, device_id, Initiation.PASSIVE, key_exchange, key_exchange.identity, ratchet, False
        )
        return session, await self.decrypt_key_material(session, encrypted_key_material)

    # Ciphers

    async def encrypt_plaintext(self, plaintext: bytes) -> tuple[LegacyContent, LegacyPlainKeys]:
        """Encrypt a text with a key of its own (§4.5)."""
        key, iv = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(IV_BYTES)
        sealed = AESGCM(key).encrypt(iv, plaintext, None)
        return LegacyContent(sealed[:-TAG_BYTES], iv), LegacyPlainKeys(key, sealed[-TAG_BYTES:])

    async def encrypt_empty(self) -> tuple[LegacyContent, LegacyPlainKeys]:
        """Return a key that encrypts nothing: only the ratchet moves (§4.6)."""
        iv = secrets.token_bytes(IV_BYTES)
        return LegacyContent(b"", iv), LegacyPlainKeys(secrets.token_bytes(KEY_BYTES), b"")

    async def decrypt_plaintext(self, content: Content, plain_key_material: PlainKeyMaterial) -> bytes:
        """Decrypt a text."""
        assert isinstance(content, LegacyContent)
        assert isinstance(plain_key_material, LegacyPlainKeys)
        try:
            sealed = content.ciphertext + plain_key_material.tag
            return AESGCM(plain_key_material.key).decrypt(content.iv, sealed, None)
        except (InvalidTag, ValueError):
            raise DecryptionFailed("the text is not the one that was encrypted") from None

    async def encrypt_key_material(
        self, session: Session, plain_key_material: PlainKeyMaterial
    ) -> LegacyKeys:
        """Encrypt the key of a text for the device of a session."""
        assert isinstance(session, LegacySession)
        assert isinstance(plain_key_material, LegacyPlainKeys)
        step = session.ratchet.send()
        key, mac_key, iv = _message_keys(step.seed)
        ciphertext = cbc.encrypt(key, iv, plain_key_material.key + plain_key_material.tag)
        own = (await self._identity()).public_key
        message = KeyMessage.create(
            mac_key,
            own + session.their_identity,
            step.ratchet_key,
            step.counter,
            step.previous_counter,
            ciphertext,
        )
        session.ratchet = step.ratchet
        return LegacyKeys(session.bare_jid, session.device_id, message)

    async def decrypt_key_material(
        self, session: Session, encrypted_key_material: EncryptedKeyMaterial
    ) -> LegacyPlainKeys:
        """Decrypt the key of a text from the device of a session."""
        assert isinstance(session, LegacySession)
        assert isinstance(encrypted_key_material, LegacyKeys)
        message = encrypted_key_material.message
        own = (await self._identity()).public_key
        try:
            ratchet, seed = session.ratchet.receive(message.ratchet_key, message.counter)
            key, mac_key, iv = _message_keys(seed)
            if not message.has_mac_of(mac_key, session.their_identity + own):
                raise DecryptionFailed("its author is another")
            opened = cbc.decrypt(key, iv, message.ciphertext)
        except SignalProtocolError as error:
            raise DecryptionFailed(str(error)) from None
        session.ratchet = ratchet
        session.confirm()
        return LegacyPlainKeys(opened[:KEY_BYTES], opened[KEY_BYTES:])

    # Our prekeys

    async def signed_pre_key_age(self) -> int:
        """Return how old the signed prekey is, in seconds."""
        return int(time.time()) - (await self._keys()).signed.made_at

    async def rotate_signed_pre_key(self) -> None:
        """Make another signed prekey; the one before is kept once more."""
        keys = await self._keys()
        keys.before = keys.signed
        keys.signed = await self._made_signed(keys.signed.number % MAX_ID + 1)
        await self._keep(keys)

    async def hide_pre_key(self, session: Session) -> bool:
        """No longer offer the prekey that a session was made with."""
        assert isinstance(session, LegacySession)
        keys, number = await self._keys(), session.key_exchange.prekey_id
        if number not in keys.prekeys or number in keys.hidden:
            return False
        keys.hidden.append(number)
        await self._keep(keys)
        return True

    async def delete_pre_key(self, session: Session) -> bool:
        """Forget the prekey that a session was made with."""
        assert isinstance(session, LegacySession)
        keys = await self._keys()
        if keys.prekeys.pop(session.key_exchange.prekey_id, None) is None:
            return False
        await self._keep(keys)
        return True

    async def delete_hidden_pre_keys(self) -> None:
        """Forget the prekeys that are no longer offered."""
        keys = await self._keys()
        for number in keys.hidden:
            keys.prekeys.pop(number, None)
        keys.hidden.clear()
        await self._keep(keys)

    async def get_num_visible_pre_keys(self) -> int:
        """Return how many prekeys are offered."""
        keys = await self._keys()
        return len(keys.prekeys.keys() - keys.hidden)

    async def generate_pre_keys(self, num_pre_keys: int) -> None:
        """Make more prekeys."""
        keys = await self._keys()
        for _ in range(num_pre_keys):
            keys.prekeys[keys.next_id] = KeyPair.generate().private_bytes()
            keys.next_id = keys.next_id % MAX_ID + 1
        await self._keep(keys)

    async def get_bundle(self, bare_jid: str, device_id: int) -> LegacyBundle:
        """Return what others need to begin a session."""
        keys = await self._keys()
        offered = {number: key for number, key in keys.prekeys.items() if number not in keys.hidden}
        return LegacyBundle(
            bare_jid,
            device_id,
            (await self._identity()).public_key,
            keys.signed.number,
            KeyPair.from_private(keys.signed.private).public_key,
            keys.signed.signature,
            {number: KeyPair.from_private(key).public_key for number, key in offered.items()},
        )

    # Labels: this version has none

    @property
    def supports_labels(self) -> bool:
        """Whether devices have names."""
        return False

    async def sign_own_label(self, label: str) -> bytes:
        """Not in this version."""
        raise NotImplementedError(NAMESPACE)

    async def verify_label_signature(self, label: str, signature: bytes, identity_key: bytes) -> bool:
        """Not in this version."""
        raise NotImplementedError(NAMESPACE)

    # All of it

    async def purge(self) -> None:
        """Forget everything."""
        for bare_jid in await self._sessions():
            await self.purge_bare_jid(bare_jid)
        await self._storage.delete(f"/{NAMESPACE}/keys")
        await self._storage.delete(f"/{NAMESPACE}/sessions")

    async def purge_bare_jid(self, bare_jid: str) -> None:
        """Forget the sessions with somebody's devices."""
        known = await self._sessions()
        for device_id in known.pop(bare_jid, []):
            await self._storage.delete(_session_key(bare_jid, device_id))
        await self._storage.store(f"/{NAMESPACE}/sessions", json.dumps(known))

    async def _sessions(self) -> dict[str, list[int]]:
        found = (await self._storage.load_primitive(f"/{NAMESPACE}/sessions", str)).maybe("{}")
        return cast(dict[str, list[int]], json.loads(found))

    async def _identity(self) -> KeyPair:
        return KeyPair.from_private(bytes((await IdentityKeyPair.get(self._storage)).as_priv().priv))

    async def _keys(self) -> OwnKeys:
        found = await self._storage.load_primitive(f"/{NAMESPACE}/keys", str)
        if found.is_just:
            return msgspec.json.decode(found.from_just(), type=OwnKeys)
        keys = OwnKeys(await self._made_signed(1), None, {}, [], 1)
        await self._keep(keys)
        return keys

    async def _keep(self, keys: OwnKeys) -> None:
        await self._storage.store(f"/{NAMESPACE}/keys", msgspec.json.encode(keys).decode())

    async def _made_signed(self, number: int) -> SignedPreKey:
        pair = KeyPair.generate()
        signature = (await self._identity()).sign(pair.public_key)
        return SignedPreKey(number, pair.private_bytes(), signature, int(time.time()))


async def ensure_identity(storage: Storage) -> None:
    """Make an identity key that is the same in both versions of OMEMO, if there is none.

    This version tells keys without the sign bit that Ed25519 has (XEdDSA §2.3), hence ours has it zero.
    """
    if (await storage.load_bytes("/ikp/key")).is_just:
        return
    seed = secrets.token_bytes(32)
    while xeddsa.seed_to_ed25519_pub(seed)[31] & 0x80:
        seed = secrets.token_bytes(32)
    await storage.store("/ikp/is_seed", True)
    await storage.store_bytes("/ikp/key", seed)


def _session_key(bare_jid: str, device_id: int) -> str:
    return f"/{NAMESPACE}/{bare_jid}/{device_id}"


def _root_key(secret: bytes) -> bytes:
    return kdf.hkdf(None, secret, AGREEMENT_INFO, 64)[:32]


def _message_keys(seed: bytes) -> tuple[bytes, bytes, bytes]:
    keys = kdf.hkdf(None, seed, MESSAGE_INFO, 80)
    return keys[:32], keys[32:64], keys[64:]
