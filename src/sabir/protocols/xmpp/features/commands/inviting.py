"""Inviting people from a client (XEP-0401)."""

from typing import Final

from sabir.core.services.vouchers import Voucher
from sabir.protocols.xmpp.features import forms
from sabir.protocols.xmpp.features.commands.administration import is_operator
from sabir.protocols.xmpp.features.commands.execution import Command, Execution
from sabir.protocols.xmpp.features.context import Context
from sabir.protocols.xmpp.features.dialogues import Fields
from sabir.protocols.xmpp.features.forms import Field
from sabir.protocols.xmpp.features.onboarding import PAGE, uri_of
from sabir.protocols.xmpp.translate import timestamp

_INVITE: Final = "urn:xmpp:invite#invite"
_CREATE_ACCOUNT: Final = "urn:xmpp:invite#create-account"
_FORM_TYPE: Final = "urn:xmpp:invite#invitation"


def _may_give_accounts(context: Context) -> bool:
    return is_operator(context) or context.place.services.vouchers.may_give_accounts(context.account)


def _invite(execution: Execution) -> None:
    """Invite a contact; who has no account yet may make one here, if the inviter may give any (XEP-0401 §5.1)."""
    context = execution.context
    context.place.services.vouchers.give(
        context.account,
        lambda secret, voucher: _answer(execution, secret, voucher),
        execution.refused,
        registers=_may_give_accounts(context),
        befriends=True,
    )


def _create_account(execution: Execution) -> None:
    """Invite somebody to an account (XEP-0401 §5.4)."""
    context = execution.context
    name = (forms.first(execution.fields, "username") or "").strip()
    befriends = forms.first(execution.fields, "roster-subscription") or ""
    context.place.services.vouchers.give(
        context.account,
        lambda secret, voucher: _answer(execution, secret, voucher),
        execution.refused,
        name=name.partition("@")[0],
        registers=True,
        befriends=forms.is_true(befriends),
    )


def _account_form(context: Context, fields: Fields) -> str:
    return forms.write(
        "form",
        _FORM_TYPE,
        [
            forms.text("username", "", "The name of the account; left to choose if empty"),
            forms.boolean("roster-subscription", False, "Become contacts at once"),
        ],
        title="Inviting somebody to an account here",
    )


def _answer(execution: Execution, secret: str, voucher: Voucher) -> None:
    place = execution.context.place
    uri = uri_of(voucher, secret, place.domain)
    fields = [Field("uri", [uri], "text-single", "Link for clients")]
    if place.public.url:
        fields.append(Field("landing-url", [f"{place.public.url}{PAGE}{secret}"], "text-single", "Page"))
    fields.append(Field("expire", [timestamp(voucher.expires_ms)], "text-single", "Good until"))
    execution.complete(forms.write("result", _FORM_TYPE, fields))


COMMANDS: Final = (
    Command(node=_INVITE, name="Invite somebody", run=_invite, is_open=lambda context: True),
    Command(
        node=_CREATE_ACCOUNT,
        name="Invite somebody to an account",
        steps=(_account_form,),
        run=_create_account,
        is_open=_may_give_accounts,
    ),
)
