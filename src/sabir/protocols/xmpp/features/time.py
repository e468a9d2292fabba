"""Entity time (XEP-0202)."""

from datetime import UTC, datetime
from typing import Final

from sabir.protocols.xmpp.features.context import Context, Iq

NAMESPACE: Final = "urn:xmpp:time"


def time(context: Context, iq: Iq) -> None:
    """Tell the server's time. Where it stands is nobody's business, so its zone is UTC."""
    now = datetime.fromtimestamp(context.place.services.clock.now_ms() // 1000, UTC)
    utc = now.strftime("%Y-%m-%dT%H:%M:%SZ")  # XEP-0082 §3.2
    context.reply(iq.stanza, f"<time xmlns='{NAMESPACE}'><tzo>+00:00</tzo><utc>{utc}</utc></time>")
