"""Who may read and write which topics: the table `mqtt.acl`.

A rule is `WHO WHAT FILTER`, for instance `* read sensors/#` or `ada readwrite home/%u/#`. WHO is an account, `*`
(everybody) or `anonymous` (those without an account); WHAT is `read`, `write`, `readwrite` or `deny`; in FILTER `%u`
stands for the account's name and `%c` for the client identifier. The first rule that fits decides; if there are rules
and none fits, it is denied. Without any rule everything but topics that begin with `$` may be read and written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sabir.protocols.mqtt.features.topics import contains, covers, is_filter, overlap

_MAX_KNOWN: Final = 1000
_MAX_KNOWN_NAME: Final = 256
_WHATS: Final = ("read", "write", "readwrite", "deny")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table."""

    who: str
    what: str
    name: str

    def fits(self, account: str) -> bool:
        """Whether the rule is about this account; empty = nobody in particular."""
        return self.who == "*" or self.who == (account or "anonymous")

    def filter_for(self, account: str, client_id: str) -> str:
        """Return the filter with the names of a client in it; empty if they cannot stand there."""
        for mark, value in (("%u", account), ("%c", client_id)):
            # A name with a wildcard in it must not open more than its own level.
            if mark in self.name and (not value or any(sign in value for sign in "+#/")):
                return ""
        return self.name.replace("%u", account).replace("%c", client_id)


def parse_rule(text: str) -> Rule:
    """Return a rule as the settings write it.

    Raises:
        ValueError: says what is wanted.
    """
    parts = text.split(None, 2)
    if len(parts) != 3 or parts[1] not in _WHATS or not is_filter(parts[2]):
        raise ValueError(f"acl: write WHO read|write|readwrite|deny FILTER, not {text!r}")
    return Rule(parts[0], parts[1], parts[2])


class Acl:
    """The table."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules: Final = rules

    def may_write(self, account: str, client_id: str, topic: str) -> bool:
        """Whether a client may publish to `topic`."""
        if topic.startswith("$"):
            return False  # MQTT 5.0 §4.7.2: the server's own
        return self._allows(account, client_id, topic, "write")

    def may_read(self, account: str, client_id: str, topic: str) -> bool:
        """Whether a client may be sent what is published to `topic`."""
        return self._allows(account, client_id, topic, "read")

    def may_subscribe(self, account: str, client_id: str, name: str) -> bool:
        """Whether there may be a topic that matches the filter and that the client may read."""
        if not self.rules:
            return True
        for rule in self.rules:
            if not rule.fits(account):
                continue
            own = rule.filter_for(account, client_id)
            if not own:
                continue
            if rule.what == "deny":
                if contains(own, name):
                    return False
            elif "read" in rule.what and overlap(own, name):
                return True
        return False

    def _allows(self, account: str, client_id: str, topic: str, what: str) -> bool:
        if not self.rules:
            return True
        for rule in self.rules:
            if rule.fits(account):
                own = rule.filter_for(account, client_id)
                if own and (rule.what == "deny" or what in rule.what) and covers(own, topic):
                    return rule.what != "deny"
        return False


class Rights:
    """What one client may write, as far as it is known."""

    def __init__(self, acl: Acl, account: str, client_id: str) -> None:
        self._acl: Final = acl
        self._account: Final = account
        self._client_id: Final = client_id
        self._known: dict[str, bool] = {}

    def may_write(self, topic: str) -> bool:
        """See `Acl.may_write`."""
        known = self._known.get(topic)
        if known is None:
            known = self._acl.may_write(self._account, self._client_id, topic)
            if len(self._known) >= _MAX_KNOWN:
                self._known = {}
            if len(topic) <= _MAX_KNOWN_NAME:
                self._known[topic] = known
        return known
