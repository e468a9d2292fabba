"""The table of requests: which feature answers which payload, and for whom."""

from dataclasses import dataclass
from typing import Final

from sabir.protocols.xmpp.features import (
    blocking,
    carbons,
    certificates,
    disco,
    extdisco,
    last,
    mam,
    people,
    ping,
    private,
    push,
    register,
    roster,
    time,
    vcard,
    version,
)
from sabir.protocols.xmpp.features.commands import requests as commands
from sabir.protocols.xmpp.features.commands.execution import NAMESPACE as COMMANDS
from sabir.protocols.xmpp.features.context import IqHandler
from sabir.protocols.xmpp.features.pubsub import requests
from sabir.protocols.xmpp.features.pubsub.names import NAMESPACE as PUBSUB
from sabir.protocols.xmpp.features.pubsub.names import OWNER as PUBSUB_OWNER

SESSION: Final = "urn:ietf:params:xml:ns:xmpp-session"


@dataclass(frozen=True, slots=True)
class Answer:
    """How one payload is answered. `get` and `set`: None where that type makes no sense.

    The booleans say at which addresses: the client's own account, the server, the accounts of others.
    """

    get: IqHandler | None = None
    set: IqHandler | None = None
    own: bool = True
    server: bool = False
    others: bool = False
    foreign: bool = False
    """People of other servers are answered, too; the handler asks for no account of theirs."""


TABLE: Final[dict[tuple[str, str], Answer]] = {
    (roster.NAMESPACE, "query"): Answer(get=roster.get, set=roster.set_),
    (disco.INFO, "query"): Answer(get=disco.info, server=True, others=True, foreign=True),
    (disco.ITEMS, "query"): Answer(get=disco.items, server=True, others=True, foreign=True),
    (certificates.NAMESPACE, "items"): Answer(get=certificates.items, server=True),
    (certificates.NAMESPACE, "append"): Answer(set=certificates.append, server=True),
    (certificates.NAMESPACE, "disable"): Answer(set=certificates.disable, server=True),
    (certificates.NAMESPACE, "revoke"): Answer(set=certificates.revoke, server=True),
    (ping.NAMESPACE, "ping"): Answer(get=ping.ping, server=True, foreign=True),
    (mam.NAMESPACE, "query"): Answer(get=mam.form, set=mam.query),
    (mam.NAMESPACE, "metadata"): Answer(get=mam.metadata),
    (mam.NAMESPACE, "prefs"): Answer(get=mam.preferences, set=mam.set_preferences),
    (version.NAMESPACE, "query"): Answer(get=version.version, own=False, server=True, foreign=True),
    (time.NAMESPACE, "time"): Answer(get=time.time, own=False, server=True, foreign=True),
    (last.NAMESPACE, "query"): Answer(get=last.last, server=True, others=True),
    (people.NAMESPACE, "query"): Answer(get=people.form, set=people.search, own=False, server=True),
    (extdisco.NAMESPACE, "services"): Answer(get=extdisco.services, own=False, server=True),
    (extdisco.NAMESPACE, "credentials"): Answer(get=extdisco.credentials, own=False, server=True),
    (push.NAMESPACE, "enable"): Answer(set=push.enable),
    (push.NAMESPACE, "disable"): Answer(set=push.disable),
    (COMMANDS, "command"): Answer(set=commands.execute, own=False, server=True),
    (carbons.NAMESPACE, "enable"): Answer(set=carbons.enable, server=True),
    (carbons.NAMESPACE, "disable"): Answer(set=carbons.disable, server=True),
    (blocking.NAMESPACE, "blocklist"): Answer(get=blocking.get),
    (blocking.NAMESPACE, "block"): Answer(set=blocking.block),
    (blocking.NAMESPACE, "unblock"): Answer(set=blocking.unblock),
    (vcard.NAMESPACE, "vCard"): Answer(get=vcard.get, set=vcard.set_, others=True, foreign=True),
    (private.NAMESPACE, "query"): Answer(get=private.get, set=private.set_, others=True),
    (PUBSUB, "pubsub"): Answer(get=requests.get, set=requests.set_, others=True, foreign=True),
    (PUBSUB_OWNER, "pubsub"): Answer(get=requests.get, set=requests.set_, others=True),
    (register.NAMESPACE, "query"): Answer(get=register.get, set=register.set_, server=True),
    # RFC 3921 §3, which old clients still follow: a session exists as soon as a resource is bound.
    (SESSION, "session"): Answer(set=ping.ping, server=True),
}
"""By namespace and name of the payload."""
