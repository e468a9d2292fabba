"""The machine itself."""

from typing import Final

from sabir.protocols.irc.codec.lines import MAX_CLIENT_TAG_BYTES, MAX_TEXT_BYTES, Decoder
from sabir.protocols.irc.codec.tags import escape
from sabir.protocols.irc.machine.batches import BatchError, OpenBatch, open_batch
from sabir.protocols.irc.machine.flood import Allowance
from sabir.protocols.irc.machine.limits import Limits
from sabir.protocols.irc.machine.negotiation import Negotiation
from sabir.protocols.irc.machine.outbox import Outbox
from sabir.protocols.irc.machine.sasl import Exchange, SaslError, chunks
from sabir.protocols.irc.types.capabilities import BATCH, LABELED_RESPONSE, MULTILINE, SASL
from sabir.protocols.irc.types.line import Fault, Line, Malformed
from sabir.protocols.irc.types.reports import (
    Commanded,
    Ended,
    RegistrationAsked,
    Report,
    SaslAborted,
    SaslAnswered,
    SaslBegun,
)

MAX_LABEL_BYTES: Final = 64
"""IRCv3 labeled-response: longer ones are not repeated."""


class Machine(Outbox):
    """One client's connection. See the package for its states and rules."""

    def __init__(self, server: str, offered: dict[str, str], limits: Limits, now_ms: int) -> None:
        super().__init__(server)
        self.is_registered = False
        self.over = ""
        """Why the connection is over; empty while it is not."""
        self._limits = limits
        self._decoder = Decoder(MAX_CLIENT_TAG_BYTES)
        self._negotiation = Negotiation(offered)
        self._mechanisms = offered.get("sasl", "")
        self._allowance = Allowance(limits.flood_burst_lines, limits.flood_lines_per_s, now_ms)
        self._waiting: list[Line | Malformed] = []
        self._is_blocked = False
        self._is_out_of_lines = False
        self._connected_ms = now_ms
        self._heard_ms = now_ms
        self._pinged_ms = 0
        self._wanted_nick = ""
        self._username = ""
        self._realname = ""
        self._password = ""
        self._is_logged_in = False
        self._exchange: Exchange | None = None
        self._failures = 0
        self._batch: OpenBatch | None = None
        self._batches_sent = 0

    # -- the verbs

    def receive(self, data: bytes, now_ms: int) -> list[Report]:
        """Take bytes of the client; return what the session has to see to, in order."""
        self._heard_ms = now_ms
        self._pinged_ms = 0
        lines = self._decoder.feed(data)
        if self._waiting:
            self._waiting += lines
            if len(self._waiting) > self._limits.max_waiting_lines:
                return self._end("Excess Flood")
            lines, self._waiting = self._waiting, []
        return self._handle_all(lines, now_ms)

    def tick(self, now_ms: int) -> list[Report]:
        """Do what time or an answer of the session has made due."""
        lines, self._waiting = self._waiting, []
        reports = self._handle_all(lines, now_ms)
        if self.over:
            return reports
        limits = self._limits
        if not self.is_registered:
            if now_ms - self._connected_ms >= limits.registration_timeout_ms:
                reports += self._end("Registration timed out")
        elif self._pinged_ms:
            if now_ms - self._pinged_ms >= limits.ping_timeout_ms:
                reports += self._end(f"Ping timeout: {limits.ping_timeout_ms // 1000} seconds")
        elif now_ms - self._heard_ms >= limits.ping_after_ms:
            self._pinged_ms = now_ms
            self.send_line(f"PING :{self.server}")
        if self._batch is not None and now_ms - self._batch.opened_ms >= limits.batch_timeout_ms:
            self._refuse_batch(
                BatchError("TIMEOUT", self._batch.reference, "Batch was left open for too long")
            )
        return reports

    def next_deadline_ms(self) -> int:
        """Return when `tick` has to be called at the latest."""
        limits = self._limits
        if not self.is_registered:
            due = self._connected_ms + limits.registration_timeout_ms
        elif self._pinged_ms:
            due = self._pinged_ms + limits.ping_timeout_ms
        else:
            due = self._heard_ms + limits.ping_after_ms
        if self._waiting and self._is_out_of_lines and not self._is_blocked:
            due = min(due, self._allowance.next_ms())
        if self._batch is not None:
            due = min(due, self._batch.opened_ms + limits.batch_timeout_ms)
        return due

    @property
    def caps(self) -> int:
        """The capabilities in force, as bits."""
        return self._negotiation.enabled

    @property
    def knows_batches(self) -> bool:
        """Whether the client takes batches."""
        return bool(self._negotiation.enabled & BATCH)

    # -- answers of the session

    def send_welcome(self, nick: str) -> None:
        """The client is registered under `nick`; the session sends the numerics of the welcome after this."""
        self.nick = nick
        self.is_registered = True
        self._is_blocked = False
        self._password = ""

    def send_registration_refused(self, number: str, params: str, text: str) -> None:
        """The client is not registered: it may try another NICK."""
        self._is_blocked = False
        self._wanted_nick = ""
        self.send_line(self.numeric(number, params, text))

    def send_challenge(self, data: bytes) -> None:
        """Send what a SASL mechanism asks."""
        self._is_blocked = False
        for chunk in chunks(data):
            self.send_line(f"AUTHENTICATE {chunk}")

    def send_logged_in(self, account: str, mask: str) -> None:
        """The client has proved to be `account`; `mask` is its `nick!user@host`."""
        self._is_blocked = False
        self._exchange = None
        self._is_logged_in = True
        self.send_line(self.numeric("900", f"{mask} {account}", f"You are now logged in as {account}"))
        self.send_line(self.numeric("903", "", "SASL authentication successful"))

    def send_sasl_failed(self) -> None:
        """The exchange proved nothing; after some of these the connection is over."""
        self._is_blocked = False
        self._exchange = None
        self.send_line(self.numeric("904", "", "SASL authentication failed"))
        self._failures += 1
        if self._failures >= self._limits.max_sasl_failures:
            self.send_error("Too many SASL authentication failures")

    def send_error(self, reason: str) -> None:
        """Say that the connection is over (Modern IRC §error)."""
        if not self.over:
            self.over = reason
            self.send_line(f"ERROR :{reason}")

    def send_offer(self, name: str, value: str | None) -> None:
        """Offer a capability from now on, or no more (IRCv3 capability-negotiation, CAP NEW and DEL)."""
        told = self._negotiation.changed(name, value)
        if name == "sasl":
            self._mechanisms = value or ""
        if told is not None:
            self.send_line(f":{self.server} CAP {self.nick} {told}")

    def send_labelled(self, label: str, tags: str, text: str) -> None:
        """Send one line as the whole answer to the command that had `label`."""
        self.send_line(text, f"label={label};{tags}" if tags else f"label={label}")

    def send_batch(self, kind: str, params: str, lines: list[tuple[str, str]], label: str = "") -> None:
        """Send (tags, text) `lines` as one batch."""
        self._batches_sent += 1
        reference = str(self._batches_sent)
        head = f":{self.server} BATCH +{reference} {kind}"
        self.send_line(f"{head} {params}" if params else head, f"label={label}" if label else "")
        for tags, text in lines:
            self.send_line(text, f"batch={reference};{tags}" if tags else f"batch={reference}")
        self.send_line(f":{self.server} BATCH -{reference}")

    def standard_reply(self, kind: str, command: str, code: str, context: str, text: str) -> str:
        """Return FAIL, WARN or NOTE; to a client that negotiated nothing, a NOTICE that says the same."""
        if self._negotiation.enabled == 0:
            return f":{self.server} NOTICE {self.nick} :{kind} {command} {code}: {text}"
        middle = f"{command} {code} {context}" if context else f"{command} {code}"
        return f":{self.server} {kind} {middle} :{text}"

    # -- handling

    def _handle_all(self, lines: list[Line | Malformed], now_ms: int) -> list[Report]:
        reports: list[Report] = []
        if self.over or not lines:
            return reports
        self._allowance.refill(now_ms)
        self._is_out_of_lines = False
        for at, line in enumerate(lines):
            if self._is_blocked or self.over:
                self._waiting = lines[at:]
                break
            if self._batch is None and not self._allowance.take():
                self._is_out_of_lines = True
                self._waiting = lines[at:]
                break
            if isinstance(line, Malformed):
                self._refuse_line(line)
            elif self.is_registered:
                self._handle_registered(line, now_ms, reports)
            else:
                self._handle_registering(line, reports)
        if len(self._waiting) > self._limits.max_waiting_lines:
            reports += self._end("Excess Flood")
        return reports

    def _handle_registered(self, line: Line, now_ms: int, reports: list[Report]) -> None:
        command = line.command
        label = ""
        if line.tags:
            if "batch" in line.tags:
                self._add_to_batch(line)
                return
            label = self._label_of(line)
        if command == "PRIVMSG":  # the hot one
            reports.append(Commanded(line, label))
        elif command == "PING" or command == "PONG":
            self._pong(line, label)
        elif command == "BATCH":
            self._handle_batch(line, label, now_ms, reports)
        elif command == "CAP":
            self._handle_cap(line, reports)
        elif command == "AUTHENTICATE":
            self._authenticate(line, reports)
        elif command == "QUIT":
            reason = line.params[0] if line.params else ""
            reports += self._end(f"Quit: {reason}")
        elif command == "USER" or command == "PASS":
            self.send_line(self.numeric("462", "", "You may not reregister"))
        else:
            reports.append(Commanded(line, label))

    def _handle_registering(self, line: Line, reports: list[Report]) -> None:
        command, params = line.command, line.params
        if command == "CAP":
            self._handle_cap(line, reports)
        elif command == "AUTHENTICATE":
            self._authenticate(line, reports)
        elif command == "NICK":
            self._wanted_nick = params[0] if params else ""
            if not self._wanted_nick:
                self.send_line(self.numeric("431", "", "No nickname given"))
            self._ask_registration(reports)
        elif command == "USER":
            if len(params) < 4 or not params[0]:
                self.send_line(self.numeric("461", "USER", "Not enough parameters"))
                return
            self._username, self._realname = params[0], params[3]
            self._ask_registration(reports)
        elif command == "PASS":
            if not params:
                self.send_line(self.numeric("461", "PASS", "Not enough parameters"))
                return
            # The last one sent counts. Compat: clients that send a password with spaces without the colon.
            self._password = " ".join(params)
        elif command == "PING" or command == "PONG":
            self._pong(line, "")
        elif command == "QUIT":
            reports += self._end("Quit: " + (params[0] if params else ""))
        else:
            self.send_line(self.numeric("451", "", "You have not registered: send NICK and USER first"))

    def _ask_registration(self, reports: list[Report]) -> None:
        """Modern IRC §connection-registration: NICK and USER are there and CAP END was sent if need be."""
        if not self._wanted_nick or not self._username or self._negotiation.is_open:
            return
        if self._exchange is not None:
            # IRCv3 sasl-3.1: registration is completed without authentication
            self._abort_sasl(reports)
        self._is_blocked = True
        reports.append(RegistrationAsked(self._wanted_nick, self._username, self._realname, self._password))

    def _handle_cap(self, line: Line, reports: list[Report]) -> None:
        if not line.params:
            self.send_line(self.numeric("461", "CAP", "Not enough parameters"))
            return
        room_bytes = MAX_TEXT_BYTES - len(f":{self.server} CAP {self.nick} ".encode())
        answers = self._negotiation.answer(line.params, self.is_registered, room_bytes)
        if answers is None:
            self.send_line(self.numeric("410", line.params[0], "Invalid CAP command"))
            return
        for answer in answers:
            self.send_line(f":{self.server} CAP {self.nick} {answer}")
        if not self.is_registered:
            self._ask_registration(reports)

    def _authenticate(self, line: Line, reports: list[Report]) -> None:
        argument = line.params[0] if line.params else ""
        if not argument:
            self.send_line(self.numeric("461", "AUTHENTICATE", "Not enough parameters"))
        elif not self._negotiation.enabled & SASL:
            self.send_line(
                self.numeric("904", "", "SASL authentication failed: request the capability first")
            )
        elif self._is_logged_in:
            self.send_line(self.numeric("907", "", "You have already authenticated"))
        elif argument == "*":
            self._abort_sasl(reports)
        elif self._exchange is None:
            self._begin_sasl(argument.upper(), reports)
        else:
            try:
                data = self._exchange.add(argument)
            except SaslError as error:
                self._exchange = None
                number = "905" if error.is_too_long else "904"
                text = "SASL message too long" if error.is_too_long else "SASL authentication failed"
                self.send_line(self.numeric(number, "", text))
                reports.append(SaslAborted())
                return
            if data is not None:
                self._is_blocked = True
                reports.append(SaslAnswered(data))

    def _begin_sasl(self, mechanism: str, reports: list[Report]) -> None:
        if mechanism not in self._mechanisms.split(","):
            self.send_line(self.numeric("908", self._mechanisms, "are available SASL mechanisms"))
            self.send_line(self.numeric("904", "", "SASL authentication failed"))
            return
        self._exchange = Exchange(mechanism, self._limits.max_sasl_bytes)
        self._is_blocked = True
        reports.append(SaslBegun(mechanism))

    def _abort_sasl(self, reports: list[Report]) -> None:
        self._exchange = None
        self.send_line(self.numeric("906", "", "SASL authentication aborted"))
        reports.append(SaslAborted())

    def _pong(self, line: Line, label: str) -> None:
        if line.command == "PONG":
            return
        if not line.params:
            self.send_line(self.numeric("409", "", "No origin specified"))
            return
        text = f":{self.server} PONG {self.server} :{line.params[0]}"
        if label:
            self.send_labelled(label, "", text)
        else:
            self.send_line(text)

    def _label_of(self, line: Line) -> str:
        """Return the label of a command, escaped as it came, if labels are in force."""
        wanted = BATCH | LABELED_RESPONSE
        label = line.tags.get("label", "")
        if not label or self._negotiation.enabled & wanted != wanted or len(label.encode()) > MAX_LABEL_BYTES:
            return ""
        return escape(label)

    def _handle_batch(self, line: Line, label: str, now_ms: int, reports: list[Report]) -> None:
        if not self._negotiation.enabled & MULTILINE or not line.params:
            self.send_line(self.numeric("421", "BATCH", "Unknown command"))
            return
        try:
            if line.params[0].startswith("+"):
                self._batch = open_batch(line, label, now_ms)
            elif self._batch is not None and line.params[0] == f"-{self._batch.reference}":
                batch, self._batch = self._batch, None
                reports.append(batch.close())
        except BatchError as error:
            self._refuse_batch(error)

    def _add_to_batch(self, line: Line) -> None:
        """Lines of a batch that is not open were refused with it (IRCv3 client-batch)."""
        if self._batch is None or line.tags["batch"] != self._batch.reference:
            return
        try:
            self._batch.add(line, self._limits)
        except BatchError as error:
            self._refuse_batch(error)

    def _refuse_batch(self, error: BatchError) -> None:
        label = self._batch.label if self._batch is not None else ""
        self._batch = None
        text = self.standard_reply("FAIL", "BATCH", error.code, error.context, error.text)
        if label:
            self.send_labelled(label, "", text)
        else:
            self.send_line(text)

    def _refuse_line(self, line: Malformed) -> None:
        if line.fault is Fault.TOO_LONG:
            self.send_line(self.numeric("417", "", "Input line was too long"))
        elif line.fault is Fault.NOT_UTF8:
            text = "Message rejected, your IRC software MUST use UTF-8 encoding on this network"
            self.send_line(self.standard_reply("FAIL", line.command or "*", "INVALID_UTF8", "", text))

    def _end(self, reason: str) -> list[Report]:
        self._waiting = []
        self.send_error(reason)
        return [Ended(reason)]
