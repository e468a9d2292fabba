"""One connected client.

`stream` is its side of the net: bytes to the machine, one match over the machine's events. `client` is its side
of the core: stanzas to the features, events and signals to stanzas. A stream that breaks may leave its
client behind, for another stream to resume (XEP-0198 §5).
"""

from sabir.protocols.xmpp.session.client import Client
from sabir.protocols.xmpp.session.hub import Hub
from sabir.protocols.xmpp.session.stream import Stream

__all__ = ["Client", "Hub", "Stream"]
