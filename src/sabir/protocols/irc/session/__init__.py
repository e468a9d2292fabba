"""One connected client: machine reports to services, deliveries and signals to lines."""

from sabir.protocols.irc.session.connected import IrcSession

__all__ = ["IrcSession"]
