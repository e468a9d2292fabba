"""Last activity (XEP-0012): since when the server runs, or an account is gone."""

from typing import Final

from sabir.protocols.xmpp.errors import FORBIDDEN, ITEM_NOT_FOUND, Refused
from sabir.protocols.xmpp.features.context import Context, Iq

NAMESPACE: Final = "jabber:iq:last"


def last(context: Context, iq: Iq) -> None:
    """Tell the uptime of the server, or for how long an account has had no device here."""
    place = context.place
    now_ms = place.services.clock.now_ms()
    if iq.to is not None and not iq.to.local:
        since_ms = place.started_ms  # XEP-0012 §5
    else:
        account = context.account if iq.to is None else place.services.accounts.find(iq.to.local)
        if account is None or not place.services.presences.may_see(context.account, account.actor):
            raise Refused(FORBIDDEN)  # XEP-0012 §3
        if any(device.presence.is_available for device in place.services.devices.of(account)):
            since_ms = now_ms  # XEP-0012 §3: somebody who is there is told so
        else:
            since_ms = account.left_ms
            if not since_ms:
                raise Refused(ITEM_NOT_FOUND)
    seconds = max(0, now_ms - since_ms) // 1000
    context.reply(iq.stanza, f"<query xmlns='{NAMESPACE}' seconds='{seconds}'/>")
