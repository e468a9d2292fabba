"""Builds what reaches the services of the makers of devices."""

from __future__ import annotations

import ssl
from pathlib import Path

from sabir.app.settings import Settings
from sabir.base.clock import Clock
from sabir.push.apns import Apns
from sabir.push.fcm import Fcm
from sabir.push.posting import Poster
from sabir.push.service import Services, kept_key
from sabir.push.webpush import Vapid


def waking(data: Path, settings: Settings, clock: Clock) -> Services:
    """Return the services, with the key that is kept in the data folder.

    Raises:
        ValueError: a key or an account is unusable.
        OSError: a file cannot be read or written.
    """
    push = settings.push

    def now_s() -> int:
        return clock.now_ms() // 1000

    tls = ssl.create_default_context()
    poster = Poster(tls, timeout_s=push.timeout_s, private_addresses=push.private_addresses)
    vapid = Vapid(kept_key(data), push.contact or f"mailto:xmpp@{settings.server.domain}", now_s)
    fcm = None if not push.fcm_account else Fcm(Path(push.fcm_account), push.fcm_url, poster, now_s)
    apns = None
    if push.apns_key:
        apns = Apns(
            Path(push.apns_key),
            push.apns_key_id,
            push.apns_team,
            push.apns_topic,
            push.apns_url,
            tls,
            push.timeout_s,
            now_s,
        )
    return Services(poster, vapid, fcm, apns)
