"""The services of makers as one `sabir.core.ports.Waker`."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sabir.core.model.push import PushOutcome
from sabir.push import webpush
from sabir.push.apns import Apns
from sabir.push.fcm import Fcm
from sabir.push.posting import Poster, PostError

log = logging.getLogger(__name__)

KEY_NAME: Final = "vapid.pem"
_GONE: Final = (404, 410)  # RFC 8030 §7.3


class Services:
    """See `Waker`."""

    def __init__(
        self, poster: Poster, vapid: webpush.Vapid, fcm: Fcm | None = None, apns: Apns | None = None
    ) -> None:
        self._apps: Final[dict[str, Fcm | Apns]] = {}
        if fcm is not None:
            self._apps["fcm"] = fcm
        if apns is not None:
            self._apps["apns"] = apns
        self.types: frozenset[str] = frozenset({"webpush", *self._apps})
        self.key: str = vapid.public
        self._poster: Final = poster
        self._vapid: Final = vapid
        self._apns: Final = apns
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    def wake(
        self,
        options: Mapping[str, str],
        payload: bytes,
        done: Callable[[PushOutcome], None],
        *,
        urgent: bool,
    ) -> None:
        """See `Waker.wake`."""
        # The core has a bounded number under way, and `stop` ends them.
        task = asyncio.get_running_loop().create_task(self._wake(options, payload, done, urgent))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """End what is under way: devices that were not reached are told when next there is something."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._apns is not None:
            await self._apns.stop()

    async def _wake(
        self,
        options: Mapping[str, str],
        payload: bytes,
        done: Callable[[PushOutcome], None],
        urgent: bool,  # as `wake` was told
    ) -> None:
        kind = options.get("type", "")
        try:
            if (app := self._apps.get(kind)) is not None:
                outcome = await app.send(options.get("token", ""), payload, urgent=urgent)
            elif kind == "webpush":
                outcome = await self._web(options, payload, urgent=urgent)
            else:
                outcome = PushOutcome.LATER  # a service that is switched off for now
        except PostError as error:
            log.info("push failed", extra={"service": kind, "reason": str(error)})
            outcome = PushOutcome.LATER
        except ValueError as error:
            log.info("push impossible", extra={"service": kind, "reason": str(error)})
            outcome = PushOutcome.GONE
        done(outcome)

    async def _web(self, options: Mapping[str, str], payload: bytes, *, urgent: bool) -> PushOutcome:
        endpoint = options["endpoint"]
        body = webpush.encrypt(
            payload[: webpush.MAX_PAYLOAD_BYTES],
            webpush.bytes_of(options["p256dh"]),
            webpush.bytes_of(options["auth"]),
            os.urandom(16),
            ec.generate_private_key(ec.SECP256R1()),
        )
        headers = {
            "TTL": str(webpush.TTL_S),  # RFC 8030 §5.2
            "Urgency": "high" if urgent else "normal",  # RFC 8030 §5.3
            "Topic": "messages",  # RFC 8030 §5.4: a later notice takes the place of an earlier one
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "Authorization": self._vapid.authorization(endpoint),
        }
        answer = await self._poster.post(endpoint, headers, body)
        if answer.status in _GONE:
            return PushOutcome.GONE
        if 200 <= answer.status < 300:
            return PushOutcome.TAKEN
        log.info("push refused", extra={"service": "webpush", "status": answer.status})
        return PushOutcome.LATER


def kept_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """Return the key that we sign with, made at first start, readable by the owner alone.

    Raises:
        ValueError: the file holds something else.
    """
    path = folder / KEY_NAME
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    loaded = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path} holds no key of a curve")
    return loaded
