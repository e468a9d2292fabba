"""What operators do from their client (XEP-0133): accounts, sessions, announcements."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, AccountState
from sabir.core.model.signals import Announced
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import ITEM_NOT_FOUND, ErrorType, Refused, StanzaError
from sabir.protocols.xmpp.features import forms
from sabir.protocols.xmpp.features.commands.execution import Command, Execution, Step, wrong_payload
from sabir.protocols.xmpp.features.context import Context
from sabir.protocols.xmpp.features.dialogues import Fields
from sabir.protocols.xmpp.features.forms import Field
from sabir.protocols.xmpp.jid import Jid, JidSyntaxError, parse_jid
from sabir.wire.xml import escape_text

NAMESPACE: Final = "http://jabber.org/protocol/admin"
MAX_LISTED: Final = 1_000
"""Addresses in one answer."""

_ACCOUNT: Final = "accountjid"
_ACCOUNTS: Final = "accountjids"
_OTHER_DOMAIN: Final = StanzaError(ErrorType.CANCEL, "item-not-found", "That is no address of this server.")

Then = Callable[[], None]
Refusing = Callable[[Refusal], None]


def is_operator(context: Context) -> bool:
    """Return whether a client may administer the server (`server.operators`)."""
    return context.place.is_operator(context.actor)


def show(context: Context, signal: Announced) -> None:
    """Show what an operator says to everybody (XEP-0133 §4.23)."""
    domain = context.place.domain
    subject = f"<subject>{escape_text(signal.subject)}</subject>" if signal.subject else ""
    start = f"<message type='headline'{attribute('from', domain)}{attribute('to', str(context.jid))}>"
    context.send(f"{start}{subject}<body>{escape_text(signal.text)}</body></message>".encode())


# Accounts


def _add(execution: Execution) -> None:
    name = _jid(execution, execution.value(_ACCOUNT)).local
    password = execution.value("password")
    if execution.fields.get("password-verify", [password])[:1] != [password]:
        raise wrong_payload("The two passwords differ.")
    accounts = execution.context.place.services.accounts
    accounts.create(name, password, lambda account: execution.complete(), execution.refused)


def _change_password(execution: Execution) -> None:
    account = _account(execution, execution.value(_ACCOUNT))
    accounts = execution.context.place.services.accounts
    accounts.reset_password(account, execution.value("password"), execution.complete, execution.refused)


def _delete(execution: Execution) -> None:
    _each(execution, execution.context.place.services.accounts.delete)


def _disable(execution: Execution) -> None:
    _set_state(execution, AccountState.DISABLED)


def _reenable(execution: Execution) -> None:
    _set_state(execution, AccountState.ACTIVE)


def _set_state(execution: Execution, state: AccountState) -> None:
    set_state = execution.context.place.services.accounts.set_state
    _each(execution, lambda account, then, refused: set_state(account, state, then, refused))


def _each(execution: Execution, change: Callable[[Account, Then, Refusing], None]) -> None:
    """Do the same to each account of a form, and answer when the last is durable."""
    found = {
        account.id: account
        for account in [_account(execution, value) for value in execution.values(_ACCOUNTS)]
    }
    if execution.context.account.id in found:
        raise wrong_payload("That is your own account.")
    left = len(found)
    failed: list[str] = []

    def heard() -> None:
        nonlocal left
        left -= 1
        if left == 0 and failed:
            execution.fail(f"Not done: {', '.join(failed)}.")
        elif left == 0:
            execution.complete()

    def refusing(account: Account) -> Refusing:
        def refused(refusal: Refusal) -> None:
            failed.append(f"{account.name} ({refusal.value})")
            heard()

        return refused

    for account in found.values():
        change(account, heard, refusing(account))


def _end_sessions(execution: Execution) -> None:
    services = execution.context.place.services
    jids = [_jid(execution, value) for value in execution.values(_ACCOUNTS)]
    for jid in jids:
        if services.accounts.find(jid.local) is None:
            raise Refused(ITEM_NOT_FOUND)

    def end() -> None:
        execution.complete()
        for jid in jids:
            account = services.accounts.find(jid.local)
            for session in [] if account is None else list(services.devices.of(account)):
                if not jid.resource or session.resource == jid.resource:
                    session.end(Refusal.LOGIN_REQUIRED)

    execution.context.run(end)


# Questions


def _statistics(execution: Execution) -> None:
    context = execution.context
    services = context.place.services
    account = _account(execution, execution.value(_ACCOUNT))

    def answer() -> None:
        resources = [session.resource for session in services.devices.of(account)]
        fields = [
            Field("rostersize", [str(len(services.roster.contacts(account)))]),
            Field("onlineresources", resources),
        ]
        execution.complete(forms.write("result", NAMESPACE, fields))

    context.run(answer)


def _registered(context: Context) -> list[Account]:
    return context.place.services.accounts.all()


def _disabled(context: Context) -> list[Account]:
    return [account for account in _registered(context) if account.state is AccountState.DISABLED]


def _online(context: Context) -> list[Account]:
    devices = context.place.services.devices
    return [account for account in _registered(context) if devices.of(account)]


def _counting(variable: str, accounts: Callable[[Context], list[Account]]) -> Callable[[Execution], None]:
    def run(execution: Execution) -> None:
        def answer() -> None:
            count = Field(variable, [str(len(accounts(execution.context)))])
            execution.complete(forms.write("result", NAMESPACE, [count]))

        execution.context.run(answer)

    return run


def _listing(variable: str, accounts: Callable[[Context], list[Account]]) -> Callable[[Execution], None]:
    def run(execution: Execution) -> None:
        wanted = (execution.fields.get("max_items") or ["none"])[0]
        if wanted != "none" and not wanted.isdecimal():
            raise wrong_payload("max_items is a number, or none.")
        most = MAX_LISTED if wanted == "none" else min(int(wanted), MAX_LISTED)

        def answer() -> None:
            domain = execution.context.place.domain
            names = sorted(account.name for account in accounts(execution.context))
            listed = Field(variable, [f"{name}@{domain}" for name in names[:most]])
            note = f"The first {most} of {len(names)}." if len(names) > most else ""
            execution.complete(forms.write("result", NAMESPACE, [listed]), note)

        execution.context.run(answer)

    return run


def _announce(execution: Execution) -> None:
    text = "\n".join(execution.values("announcement"))
    subject = (execution.fields.get("subject") or [""])[0]
    context = execution.context

    def announce() -> None:
        count = context.place.services.devices.announce(text, subject)
        execution.complete(note=f"{count} devices were told.")

    context.run(announce)


# Forms and addresses


def _jid(execution: Execution, value: str) -> Jid:
    try:
        jid = parse_jid(value)
    except JidSyntaxError:
        raise wrong_payload(f"{value} is no address.") from None
    if jid.domain != execution.context.place.domain or not jid.local:
        raise Refused(_OTHER_DOMAIN)
    return jid


def _account(execution: Execution, value: str) -> Account:
    account = execution.context.place.services.accounts.find(_jid(execution, value).local)
    if account is None:
        raise Refused(ITEM_NOT_FOUND)
    return account


def _form(title: str, *fields: Field) -> tuple[Step]:
    def step(context: Context, said: Fields) -> str:
        return forms.write("form", NAMESPACE, fields, title, "Fill out this form.")

    return (step,)


def _one(label: str) -> Field:
    return Field(_ACCOUNT, [], "jid-single", label, required=True)


def _some(label: str) -> Field:
    return Field(_ACCOUNTS, [], "jid-multi", label, required=True)


def _password(name: str, label: str) -> Field:
    return Field(name, [], "text-private", label, required=True)


def _most() -> Field:
    sizes: Sequence[str] = ("25", "50", "100", "200", "none")
    options: Iterable[tuple[str, str]] = [(size, size) for size in sizes]
    return forms.choice("max_items", "none", "How many to show", options)


def _command(node: str, name: str, run: Callable[[Execution], None], steps: tuple[Step, ...] = ()) -> Command:
    return Command(node=f"{NAMESPACE}#{node}", name=name, steps=steps, run=run, is_open=is_operator)


COMMANDS: Final = (
    _command(
        "add-user",
        "Add a user",
        _add,
        _form(
            "Adding a user",
            _one("The address of the new account"),
            _password("password", "Password"),
            _password("password-verify", "The password again"),
        ),
    ),
    _command(
        "delete-user", "Delete users", _delete, _form("Deleting users", _some("The addresses to delete"))
    ),
    _command(
        "disable-user", "Disable users", _disable, _form("Disabling users", _some("The addresses to disable"))
    ),
    _command(
        "reenable-user",
        "Re-enable users",
        _reenable,
        _form("Re-enabling users", _some("The addresses to re-enable")),
    ),
    _command(
        "end-user-session",
        "End sessions",
        _end_sessions,
        _form("Ending sessions", _some("Addresses of accounts or devices")),
    ),
    _command(
        "change-user-password",
        "Change a password",
        _change_password,
        _form("Changing a password", _one("The address of the account"), _password("password", "Password")),
    ),
    _command(
        "user-stats",
        "Show statistics of a user",
        _statistics,
        _form("Statistics of a user", _one("The address of the account")),
    ),
    _command("get-registered-users-num", "Count users", _counting("registeredusersnum", _registered)),
    _command("get-disabled-users-num", "Count disabled users", _counting("disabledusersnum", _disabled)),
    _command("get-online-users-num", "Count online users", _counting("onlineusersnum", _online)),
    _command(
        "get-registered-users-list",
        "List users",
        _listing("registereduserjids", _registered),
        _form("Listing users", _most()),
    ),
    _command(
        "get-disabled-users-list",
        "List disabled users",
        _listing("disableduserjids", _disabled),
        _form("Listing disabled users", _most()),
    ),
    _command(
        "get-online-users-list",
        "List online users",
        _listing("onlineuserjids", _online),
        _form("Listing online users", _most()),
    ),
    _command(
        "announce",
        "Announce something",
        _announce,
        _form(
            "Making an announcement",
            forms.text("subject", "", "Subject"),
            Field("announcement", [], "text-multi", "Announcement", required=True),
        ),
    ),
)
"""The commands of operators, in the order in which they are listed."""
