"""What travels on an XMPP stream, and what the machine tells the session."""

from dataclasses import dataclass

from sabir.protocols.xmpp.errors import StreamError
from sabir.wire.xml import Child, Element


class Stanza:
    """One `<message/>`, `<presence/>` or `<iq/>`, or another top-level element, proven well-formed.

    `data[head:end]` are the bytes from the end of the start tag (`>` or `/>`) to the end of the stanza; the
    offsets of `children` point into `data`. `attributes` are all attributes but `to`, `from` and `xmlns` as
    they stand, each with a space before it. `namespace` is empty where it is that of the stream.
    """

    __slots__ = (
        "attributes",
        "children",
        "data",
        "end",
        "head",
        "id",
        "name",
        "namespace",
        "sender",
        "to",
        "tree",
        "type",
    )

    def __init__(
        self,
        name: bytes,
        namespace: bytes,
        to: bytes | None,
        sender: bytes | None,
        type: bytes,
        id: bytes,
        attributes: bytes,
        data: bytes,
        head: int,
        end: int,
        children: tuple[Child, ...],
    ) -> None:
        self.name: bytes = name
        self.namespace: bytes = namespace
        self.to: bytes | None = to
        self.sender: bytes | None = sender
        self.type: bytes = type
        self.id: bytes = id
        self.attributes: bytes = attributes
        self.data: bytes = data
        self.head: int = head
        self.end: int = end
        self.children: tuple[Child, ...] = children
        self.tree: Element | None = None


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The peer closed its stream, or the stream ended with `error`, which has been put out already."""

    error: StreamError | None = None


@dataclass(frozen=True, slots=True)
class TlsRequested:
    """`<proceed/>` has been put out: the connection must be encrypted now, then `Machine.secured` called."""


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """A login was refused; the client has been told."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The account `name` has proven its password; the stream is being restarted."""

    name: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with which one may log in (XEP-0257 §2.1)."""

    name: str
    """What its owner calls it."""
    der: bytes
    manages: bool
    """Who logged in with it may change the list of certificates."""


@dataclass(frozen=True, slots=True)
class Binding:
    """What a client wants of the resource that comes with its login (XEP-0386 §3.2)."""

    tag: str
    """What its resource should begin with, empty if it does not care."""
    carbons: bool
    inactive: bool
    managed: bool
    """Stream management is wanted."""
    resume_s: int
    """Seconds for which the stream is to be kept when it breaks: 0 for not at all."""


@dataclass(frozen=True, slots=True)
class TokenUsed:
    """What a client says about the token that it logs in with (XEP-0484 §3.4)."""

    count: int
    """Which use of the token this is, 0 if it does not count."""
    forget: bool
    """The token is to be good for nothing afterwards."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """What `<authenticate/>` asks for beside the login itself (XEP-0388 §2.3)."""

    device: str = ""
    """The id of the client's installation, in lower case, empty if it gave none."""
    software: str = ""
    model: str = ""
    """What it runs on, in words."""
    resume: "ResumeRequested | None" = None
    bind: Binding | None = None
    token: TokenUsed | None = None
    wanted_token: str = ""
    """The mechanism for which it would like a token, to log in with from now on; empty for none."""
    upgrades: tuple[str, ...] = ()
    """The tasks by which it would set itself up for stronger mechanisms (XEP-0480 §2.2)."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The account `name` has proven who it is, by XEP-0388: the session does what was `asked`.

    It ends with `Machine.succeed`, `Machine.succeed_resumed` or `Machine.refuse`; before, `Machine.send_task` may have
    the client do something more.
    """

    name: str
    asked: Authentication


@dataclass(frozen=True, slots=True)
class TaskBegun:
    """The client begins with the task that it was given (XEP-0388 §2.6.3); `Machine.send_task_data` follows."""


@dataclass(frozen=True, slots=True)
class TaskAnswered:
    """It has done the task (XEP-0480 §3); what follows is what may follow on `Authenticated`."""

    salted_password: bytes


@dataclass(frozen=True, slots=True)
class BindRequested:
    """The client wants a resource; the session answers with `Machine.send_bound` or `send_bind_error`."""

    id: bytes
    resource: str


@dataclass(frozen=True, slots=True)
class ManagementEnabled:
    """Stream management is on, as `Machine.management` says."""


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """The client wants to go on with an earlier stream, of which it has `handled` so many stanzas.

    The session answers with `Machine.resume` or `Machine.send_resume_failed`.
    """

    token: str
    handled: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The client has handled stanzas that it was sent; `seq` is the highest log number among them, or 0."""

    seq: int


@dataclass(frozen=True, slots=True)
class ActivityChanged:
    """The client says that its user looks at it, or no longer does (XEP-0352)."""

    active: bool


Event = (
    Stanza
    | StreamClosed
    | TlsRequested
    | LoginFailed
    | LoggedIn
    | Authenticated
    | TaskBegun
    | TaskAnswered
    | BindRequested
    | ManagementEnabled
    | ResumeRequested
    | Acknowledged
    | ActivityChanged
)
