"""Firebase Cloud Messaging, HTTP v1: a service account's key signs for a token, the token sends messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sabir.core.model.push import PushOutcome
from sabir.push.posting import Poster, PostError
from sabir.push.webpush import text_of

SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_S: Final = 3_600
_EARLY_S: Final = 300


class Fcm:
    """One project."""

    def __init__(self, account: Path, url: str, poster: Poster, now_s: Callable[[], int]) -> None:
        """Read the service account.

        Raises:
            ValueError: the file is not what Firebase gives out; the text says what is wrong.
        """
        try:
            facts: dict[str, Any] = json.loads(account.read_text(encoding="utf-8"))
            self._project: Final = str(facts["project_id"])
            self._email: Final = str(facts["client_email"])
            self._token_url: Final = str(facts["token_uri"])
            key = serialization.load_pem_private_key(str(facts["private_key"]).encode(), None)
        except (OSError, KeyError, TypeError) as error:
            raise ValueError(f"{account} is no service account of Firebase: {error}") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError(f"{account} has no RSA key")
        self._key: Final = key
        self._url: Final = url
        self._poster: Final = poster
        self._now_s: Final = now_s
        self._token = ""
        self._token_until_s = 0

    async def send(self, token: str, payload: bytes, *, urgent: bool) -> PushOutcome:
        """Send a message with data to one device.

        Raises:
            PostError: FCM cannot be reached.
        """
        message = {
            "token": token,
            "data": {"notification": payload.decode()},
            "android": {"priority": "HIGH" if urgent else "NORMAL", "collapse_key": "messages"},
        }
        headers = {
            "Authorization": f"Bearer {await self._access()}",
            "Content-Type": "application/json; charset=UTF-8",
        }
        url = f"{self._url}/v1/projects/{self._project}/messages:send"
        answer = await self._poster.post(url, headers, json.dumps({"message": message}).encode())
        if answer.status == 200:
            return PushOutcome.TAKEN
        if answer.status == 401:
            self._token_until_s = 0
        return PushOutcome.GONE if answer.status == 404 else PushOutcome.LATER

    async def _access(self) -> str:
        now_s = self._now_s()
        if now_s >= self._token_until_s - _EARLY_S:
            body = urlencode({"grant_type": GRANT, "assertion": self._assertion(now_s)}).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await self._poster.post(self._token_url, headers, body)
            try:
                granted: dict[str, Any] = json.loads(answer.body)
                token, life_s = str(granted["access_token"]), int(granted["expires_in"])
            except (ValueError, KeyError, TypeError):
                raise PostError(f"no token was granted: {answer.status}") from None
            self._token, self._token_until_s = token, now_s + life_s
        return self._token

    def _assertion(self, now_s: int) -> str:
        head = text_of(json.dumps({"alg": "RS256", "typ": "JWT"}).encode())
        claims = {
            "iss": self._email,
            "scope": SCOPE,
            "aud": self._token_url,
            "iat": now_s,
            "exp": now_s + TOKEN_S,
        }
        body = text_of(json.dumps(claims).encode())
        signature = self._key.sign(f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{head}.{body}.{text_of(signature)}"
