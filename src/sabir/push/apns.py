"""Apple Push Notification service: notices over one HTTP/2 connection, which the key of the app's maker signs for."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sabir.core.model.push import PushOutcome
from sabir.push.posting import PostError
from sabir.push.webpush import TTL_S, signed_token

if TYPE_CHECKING:
    import httpx

MAX_NOTICE_BYTES: Final = 4_096
"""What Apple takes at the most."""
TOKEN_S: Final = 2_400
"""Life of a signature of ours; Apple wants no new one within 20 minutes, and takes none older than an hour."""
_TOKEN: Final = re.compile(r"[0-9A-Fa-f]{1,200}")
_GONE_REASONS: Final = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered"})


class Apns:
    """One app."""

    def __init__(
        self,
        key: Path,
        key_id: str,
        team: str,
        topic: str,
        url: str,
        tls: ssl.SSLContext,
        timeout_s: float,
        now_s: Callable[[], int],
    ) -> None:
        """Read the key.

        Args:
            key: The `.p8` file that Apple gives out.
            key_id: The id of the key, 10 characters.
            team: The id of the team that owns it, 10 characters.
            topic: The app's bundle id.
            url: Where APNs is.
            tls: What its certificate is checked with.
            timeout_s: Seconds that it may take to answer.
            now_s: The time, seconds since 1970.

        Raises:
            ValueError: the file is no such key, or a library is missing; the text says which.
        """
        try:
            import httpx
        except ModuleNotFoundError:
            raise ValueError("apns needs HTTP/2: pip install 'sabir[apns]'") from None
        try:
            loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        except (OSError, ValueError) as error:
            raise ValueError(f"{key} is no key of APNs: {error}") from None
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key} has no key of a curve")
        self._key: Final = loaded
        self._key_id: Final = key_id
        self._team: Final = team
        self._topic: Final = topic
        self._url: Final = url
        self._now_s: Final = now_s
        self._signed = ""
        self._signed_at_s = 0
        self._failure: Final = httpx.HTTPError
        self._client: Final[httpx.AsyncClient] = httpx.AsyncClient(
            http1=False, http2=True, verify=tls, timeout=timeout_s, trust_env=False
        )

    async def send(self, token: str, payload: bytes, *, urgent: bool) -> PushOutcome:
        """Send a notice to one device.

        Raises:
            PostError: APNs cannot be reached.
        """
        if _TOKEN.fullmatch(token) is None:
            return PushOutcome.GONE
        headers = {
            "authorization": f"bearer {self._authorization()}",
            "apns-topic": self._topic,
            "apns-push-type": "alert" if urgent else "background",
            # A notice in the background must not ask for more.
            "apns-priority": "10" if urgent else "5",
            "apns-collapse-id": "messages",
            "apns-expiration": str(self._now_s() + TTL_S),
        }
        try:
            answer = await self._client.post(
                f"{self._url}/3/device/{token}", headers=headers, content=_notice(payload, urgent)
            )
        except self._failure as error:
            raise PostError(str(error) or type(error).__name__) from None
        if answer.status_code == 200:
            return PushOutcome.TAKEN
        if answer.status_code == 403:
            self._signed_at_s = 0
        return PushOutcome.GONE if _reason(answer.content) in _GONE_REASONS else PushOutcome.LATER

    async def stop(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    def _authorization(self) -> str:
        now_s = self._now_s()
        if now_s - self._signed_at_s >= TOKEN_S:
            self._signed = signed_token(self._key, {"kid": self._key_id}, {"iss": self._team, "iat": now_s})
            self._signed_at_s = now_s
        return self._signed


def _notice(payload: bytes, urgent: bool) -> bytes:
    """Return what the phone is told; the app may put words of its own in place of ours before they are shown."""
    alert = {"alert": {"body": "New message"}, "sound": "default", "mutable-content": 1}
    aps: dict[str, object] = alert if urgent else {"content-available": 1}
    whole = json.dumps({"aps": aps, "notification": payload.decode()}).encode()
    return whole if len(whole) <= MAX_NOTICE_BYTES else json.dumps({"aps": aps}).encode()


def _reason(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    return str(answer.get("reason", "")) if isinstance(answer, dict) else ""
