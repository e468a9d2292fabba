"""Requests for commands (XEP-0050): listing, carrying out, forms forwards and backwards, cancelling."""

from collections.abc import Mapping
from typing import Final

from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import (
    FEATURE_NOT_IMPLEMENTED,
    FORBIDDEN,
    ITEM_NOT_FOUND,
    ErrorType,
    Refused,
    StanzaError,
)
from sabir.protocols.xmpp.features import forms
from sabir.protocols.xmpp.features.commands import administration, inviting
from sabir.protocols.xmpp.features.commands.execution import (
    NAMESPACE,
    Command,
    Execution,
    command,
    wrong_payload,
)
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.dialogues import Dialogue

Commands = Mapping[str, Command]
"""Commands of one address, by node."""
COMMANDS: Final[Commands] = {each.node: each for each in (*inviting.COMMANDS, *administration.COMMANDS)}
"""Those of the server."""
_ACTIONS: Final = ("execute", "next", "prev", "complete", "cancel")


def _bad(condition: str, text: str = "") -> StanzaError:
    return StanzaError(ErrorType.MODIFY, "bad-request", text, f"<{condition} xmlns='{NAMESPACE}'/>")


_EXPIRED: Final = StanzaError(
    ErrorType.CANCEL, "not-allowed", "Begin the command anew.", f"<session-expired xmlns='{NAMESPACE}'/>"
)


def items(context: Context, address: str, commands: Commands) -> str:
    """Return those commands of `address` that a client may use, as items of disco (XEP-0050 §2.2)."""
    jid = attribute("jid", address)
    return "".join(
        [
            f"<item{jid}{attribute('node', each.node)}{attribute('name', each.name)}/>"
            for each in commands.values()
            if each.is_open(context)
        ]
    )


def info(context: Context, node: str, commands: Commands) -> str:
    """Return what a node about commands is, as the content of a disco answer.

    Raises:
        Refused: there is no such node, or not for this client.
    """
    if node == NAMESPACE:
        return "<identity category='automation' type='command-list' name='Commands'/>"
    found = commands.get(node)
    if found is None:
        raise Refused(ITEM_NOT_FOUND)
    if not found.is_open(context):
        raise Refused(FORBIDDEN)
    name = attribute("name", found.name)
    return (
        f"<identity category='automation' type='command-node'{name}/>"
        f"<feature var='{NAMESPACE}'/><feature var='{forms.NAMESPACE}'/>"
    )


def execute(context: Context, iq: Iq) -> None:
    """Begin a command of the server, or go on with one (XEP-0050 §2.4)."""
    answer(context, iq, COMMANDS)


def answer(context: Context, iq: Iq, commands: Commands) -> None:
    """Begin one of `commands`, or go on with it."""
    node = iq.payload.get("node") or ""
    action = iq.payload.get("action") or "execute"
    if action not in _ACTIONS:
        raise Refused(_bad("malformed-action"))
    found = commands.get(node)
    if found is None:
        # XEP-0133 §5: what administrators might do, but not here.
        raise Refused(
            FEATURE_NOT_IMPLEMENTED if node.startswith(administration.NAMESPACE) else ITEM_NOT_FOUND
        )
    if not found.is_open(context):
        raise Refused(FORBIDDEN)
    id_ = iq.payload.get("sessionid")
    dialogues = context.place.dialogues
    now_ms = context.place.services.clock.now_ms()
    if id_ is None:
        if action != "execute":
            raise Refused(_bad("bad-action", "Begin with execute."))
        dialogue = dialogues.begin(str(context.jid), node, now_ms)
        _go_on(context, iq, found, dialogue)
        return
    under_way = dialogues.find(id_, str(context.jid))
    if under_way is None or under_way.node != node:
        raise Refused(_bad("bad-sessionid"))
    if under_way.due_ms <= now_ms:
        dialogues.end(under_way)
        raise Refused(_EXPIRED)
    if action == "cancel":
        dialogues.end(under_way)
        context.run(lambda: context.reply(iq.stanza, command(node, under_way.id, "canceled", "")))
    elif action == "prev":
        if under_way.step == 0:
            raise Refused(_bad("bad-action", "This is the first form."))
        under_way.step -= 1
        under_way.answers.pop()
        _show(context, iq, found, under_way)
    else:
        _take(iq, found, under_way, action)
        _go_on(context, iq, found, under_way)


def _take(iq: Iq, found: Command, dialogue: Dialogue, action: str) -> None:
    """Take the form that the client filled in."""
    last = dialogue.step == len(found.steps) - 1
    if action == "complete" and not last:
        raise Refused(_bad("bad-action", "There are more forms to come."))
    if action == "next" and last:
        raise Refused(_bad("bad-action", "This is the last form."))
    form = forms.submitted(iq.payload)
    if form is None:
        raise wrong_payload("Fill in the form.")
    dialogue.answers.append(forms.read(form))
    dialogue.step += 1


def _go_on(context: Context, iq: Iq, found: Command, dialogue: Dialogue) -> None:
    """Show the next form, or carry the command out."""
    if dialogue.step < len(found.steps):
        _show(context, iq, found, dialogue)
        return
    ticket = context.begin()
    execution = Execution(context, iq, dialogue.id, dialogue.fields(), ticket)
    try:
        found.run(execution)
    except Refused as refused:
        if dialogue.answers:
            dialogue.answers.pop()
            dialogue.step -= 1  # so that the form can be put right
        context.refuse(iq.stanza, refused.error)
        ticket.finish()
    else:
        context.place.dialogues.end(dialogue)


def _show(context: Context, iq: Iq, found: Command, dialogue: Dialogue) -> None:
    step = dialogue.step
    form = found.steps[step](context, dialogue.fields())
    back = "<prev/>" if step > 0 else ""
    if step == len(found.steps) - 1:
        actions = f"<actions execute='complete'>{back}<complete/></actions>"
    else:
        actions = f"<actions execute='next'>{back}<next/></actions>"
    shown = command(found.node, dialogue.id, "executing", actions + form)
    context.run(lambda: context.reply(iq.stanza, shown))
