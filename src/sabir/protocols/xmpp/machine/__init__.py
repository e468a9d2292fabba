"""One client's stream: what is negotiated on it, and when it ends.

States and rules (RFC 6120 §4.3 to §7):

* OPENING: the peer owes an opening. -> NEGOTIATING or, once logged in, BINDING.
* NEGOTIATING: TLS and login. STARTTLS and a login of RFC 6120 each lead back to OPENING; one of XEP-0388 leads on to
  BINDING, or with a resource or a resumption asked for with it to BOUND.
* BINDING: logged in, no resource yet. A bound resource or a resumed stream -> BOUND.
* BOUND: stanzas flow.
* CLOSED: an error or an end was sent or received; nothing more is read.

Whatever needs the session's answer before the next byte may be looked at (TLS, a login of XEP-0388, binding,
resumption) stops the machine: it goes on with the next call of `receive` after that answer.
"""

from sabir.protocols.xmpp.machine.login import Mechanisms
from sabir.protocols.xmpp.machine.management import Management
from sabir.protocols.xmpp.machine.stream import Machine

__all__ = ["Machine", "Management", "Mechanisms"]
