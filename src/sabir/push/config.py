"""Settings of waking devices that are not connected."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PushConfig:
    """Waking devices that are not connected, through the services of their makers."""

    sender: bool = False
    """Services are told who wrote."""
    body: bool = False
    """Services are told what was written, unless it is encrypted."""
    contact: str = ""
    """Where the operators of push services may complain, such as `mailto:ada@example.org`. Empty stands for the mailbox
    `xmpp` of `server.domain`."""
    private_addresses: bool = False
    """Push services may be in your own network. Otherwise a device cannot make the server connect to
    addresses that are not public."""
    fcm_account: str = ""
    """The service account of Firebase Cloud Messaging, a JSON file; without one there is no FCM."""
    fcm_url: str = "https://fcm.googleapis.com"
    """Where FCM is."""
    apns_key: str = ""
    """The key for Apple Push Notification service (APNs), a `.p8` file of the maker of an app; without one, none."""
    apns_key_id: str = ""
    """The id of that key."""
    apns_team: str = ""
    """The id of the team that owns it."""
    apns_topic: str = ""
    """The bundle id of the app."""
    apns_url: str = "https://api.push.apple.com"
    """Where APNs is; `https://api.sandbox.push.apple.com` for an app in development."""
    timeout_s: int = 20
    """Seconds that a service may take to answer."""

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        if self.contact and not self.contact.startswith(("mailto:", "https:")):
            raise ValueError("contact: begins with mailto: or https:")
        if self.apns_key and not (self.apns_key_id and self.apns_team and self.apns_topic):
            raise ValueError("apns_key: needs apns_key_id, apns_team and apns_topic beside it")
        if self.timeout_s < 1:
            raise ValueError("timeout_s: must be at least 1")
