"""One connection's state on the server's side: bytes in, reports out; time is an argument.

States: REGISTERING (NICK, USER, PASS, CAP, AUTHENTICATE; anything else is 451) -> REGISTERED -> over.
Lines are handled in the order of arrival. Handling stops

* at a report that the session has to answer first (`RegistrationAsked`, `SaslBegun`, `SaslAnswered`): the
  answer is one of `send_welcome`, `send_registration_refused`, `send_challenge`, `send_logged_in`,
  `send_sasl_failed`;
* when the client has used up its lines (flood control).

What waits is handled by the next `tick`, which a session calls whenever it has answered a report.
"""

from sabir.protocols.irc.machine.connection import Machine
from sabir.protocols.irc.machine.limits import Limits
from sabir.protocols.irc.machine.reply import Reply

__all__ = ["Limits", "Machine", "Reply"]
