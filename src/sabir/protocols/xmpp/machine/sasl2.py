"""SASL in the words of XEP-0388, and what may come in the same breath: XEP-0386 and XEP-0198 §9."""

import base64
import re
from typing import Final

from sabir.protocols.xmpp.errors import StreamError
from sabir.protocols.xmpp.machine import sasl
from sabir.protocols.xmpp.machine.management import NAMESPACE as MANAGEMENT
from sabir.protocols.xmpp.machine.management import number, resume_s_in, resumption_in
from sabir.protocols.xmpp.types import Authentication, Binding, TokenUsed
from sabir.wire.xml import Element, escape_text

NAMESPACE: Final = "urn:xmpp:sasl:2"
BIND: Final = "urn:xmpp:bind:0"
CARBONS: Final = "urn:xmpp:carbons:2"
ACTIVITY: Final = "urn:xmpp:csi:0"
FAST: Final = "urn:xmpp:fast:0"
UPGRADE: Final = "urn:xmpp:sasl:upgrade:0"
SCRAM_UPGRADE: Final = "urn:xmpp:scram-upgrade:0"
UPGRADES: Final = {"UPGR-SCRAM-SHA-256": "SCRAM-SHA-256"}
"""The tasks that set an account up for a stronger mechanism (XEP-0480 §2.1), with its name."""

_INLINE: Final = (
    f"<bind xmlns='{BIND}'><inline>"
    f"<feature var='{CARBONS}'/><feature var='{ACTIVITY}'/><feature var='{MANAGEMENT}'/>"
    f"</inline></bind><sm xmlns='{MANAGEMENT}'/>"
)

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_MAX_WORDS: Final = 100
"""Characters that are kept of what a client says of itself."""


def encode_feature(names: list[str], token_names: list[str]) -> str:
    """Return `<authentication/>`, with what may be asked for with a login.

    XEP-0388 §2.1, XEP-0386 §3.1, XEP-0198 §9.2, XEP-0484 §3.1, XEP-0480 §2.1.
    """
    upgrades = "".join([f"<upgrade xmlns='{UPGRADE}'>{name}</upgrade>" for name in UPGRADES])
    fast = f"<fast xmlns='{FAST}'>{encode_mechanisms(token_names)}</fast>" if token_names else ""
    inline = f"<inline>{_INLINE}{fast}</inline>"
    return (
        f"<authentication xmlns='{NAMESPACE}'>{encode_mechanisms(names)}{inline}{upgrades}</authentication>"
    )


def encode_mechanisms(names: list[str]) -> str:
    """Return a `<mechanism/>` for each name."""
    return "".join([f"<mechanism>{name}</mechanism>" for name in names])


def asked_in(authenticate: Element, token_names: list[str]) -> Authentication | None:
    """Return what `<authenticate/>` asks for, None if it is malformed; `token_names` are those that were offered."""
    agent = authenticate.find("user-agent", NAMESPACE)
    device = "" if agent is None else (agent.get("id") or "").lower()
    if device and not _UUID.match(device):
        return None  # XEP-0388 §2.3: the id is a UUID
    resume = authenticate.find("resume", MANAGEMENT)
    bind = authenticate.find("bind", BIND)
    fast = authenticate.find("fast", FAST)
    request = authenticate.find("request-token", FAST)
    wanted = "" if request is None else request.get("mechanism") or ""
    try:
        return Authentication(
            device=device,
            software=_words(agent, "software"),
            model=_words(agent, "device"),
            resume=None if resume is None else resumption_in(resume),
            bind=None if bind is None else _binding(bind),
            token=None if fast is None else _token_used(fast),
            upgrades=tuple(
                name
                for name in dict.fromkeys(
                    each.text().strip() for each in authenticate.find_all("upgrade", UPGRADE)
                )
                if name in UPGRADES
            ),
            wanted_token=wanted if wanted in token_names else "",
        )
    except StreamError:
        return None


def _words(agent: Element | None, name: str) -> str:
    return "" if agent is None else (agent.child_text(name, NAMESPACE) or "").strip()[:_MAX_WORDS]


def _binding(bind: Element) -> Binding:
    management = bind.find("enable", MANAGEMENT)
    return Binding(
        tag=(bind.child_text("tag", BIND) or "").strip(),
        carbons=bind.find("enable", CARBONS) is not None,
        inactive=bind.find("inactive", ACTIVITY) is not None,
        managed=management is not None,
        resume_s=0 if management is None else resume_s_in(management),
    )


def _token_used(fast: Element) -> TokenUsed:
    count = fast.get("count")
    return TokenUsed(
        count=0 if count is None else number(count),
        forget=fast.get("invalidate") in ("true", "1"),
    )


def encode_challenge(data: bytes) -> bytes:
    """Return `<challenge/>`."""
    return f"<challenge xmlns='{NAMESPACE}'>{base64.b64encode(data).decode()}</challenge>".encode()


def encode_success(data: bytes, address: str, results: str) -> bytes:
    """Return `<success/>` with the mechanism's last word and the results of what was asked for with it."""
    more = f"<additional-data>{base64.b64encode(data).decode()}</additional-data>" if data else ""
    who = f"<authorization-identifier>{escape_text(address)}</authorization-identifier>"
    return f"<success xmlns='{NAMESPACE}'>{more}{who}{results}</success>".encode()


def encode_continue(data: bytes, task: str) -> bytes:
    """Return `<continue/>` with one task, and the mechanism's last word if this is the first."""
    more = f"<additional-data>{base64.b64encode(data).decode()}</additional-data>" if data else ""
    return f"<continue xmlns='{NAMESPACE}'>{more}<tasks><task>{task}</task></tasks></continue>".encode()


def encode_salt(salt: bytes, iterations: int) -> bytes:
    """Return what a client needs to make the SaltedPassword (XEP-0480 §3)."""
    text = base64.b64encode(salt).decode()
    inside = f"<salt xmlns='{SCRAM_UPGRADE}' iterations='{iterations}'>{text}</salt>"
    return f"<task-data xmlns='{NAMESPACE}'>{inside}</task-data>".encode()


def encode_failure(condition: str, text: str) -> bytes:
    """Return `<failure/>` with a condition of RFC 6120 §6.5."""
    words = f"<text>{escape_text(text)}</text>" if text else ""
    return f"<failure xmlns='{NAMESPACE}'><{condition} xmlns='{sasl.NAMESPACE}'/>{words}</failure>".encode()


def encode_token(secret: str, expires: str) -> str:
    """Return `<token/>` (XEP-0484 §3.3)."""
    return f"<token xmlns='{FAST}' expiry='{expires}' token='{secret}'/>"


def encode_bound(results: str) -> str:
    """Return `<bound/>` with what became of the features that were asked for with the resource."""
    return f"<bound xmlns='{BIND}'>{results}</bound>"
