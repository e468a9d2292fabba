"""The core's refusals in the words of IRC: a numeric reply and a text that says what to do."""

from typing import assert_never

from sabir.core.errors import Refusal


def numeric_for(refusal: Refusal) -> tuple[str, str]:  # a table, and so long
    """Return (numeric, text) that tells an IRC client about `refusal` (RFC 2812 §5.2)."""
    match refusal:
        case Refusal.LOGIN_FAILED:
            return "464", "Password incorrect"
        case Refusal.LOGIN_REQUIRED:
            return "464", "Log in with SASL, or with PASS account:password"
        case Refusal.ACCOUNT_DISABLED:
            return "465", "This account is disabled"
        case Refusal.ACCOUNT_UNKNOWN | Refusal.ACTOR_UNKNOWN | Refusal.BLOCKED:
            # Who is blocked is told what anybody is told of a nick that is nobody's, as by XMPP.
            return "401", "No such nick"
        case Refusal.ACCOUNT_EXISTS | Refusal.NICK_IN_USE:
            return "433", "Nickname is already in use"
        case Refusal.NAME_INVALID:
            return "479", "Illegal channel name"
        case Refusal.NICK_INVALID:
            return "432", "Erroneous nickname"
        case Refusal.ROOM_UNKNOWN | Refusal.ROOM_GONE:
            return "403", "No such channel"
        case Refusal.ROOM_EXISTS:
            return "403", "Such a channel exists already"
        case Refusal.ROOM_FULL:
            return "471", "Cannot join channel (+l)"
        case Refusal.ROOM_CREATION_DENIED:
            return "403", "No such channel, and you may not create channels"
        case Refusal.BANNED:
            return "474", "Cannot join channel (+b)"
        case Refusal.MEMBERS_ONLY:
            return "473", "Cannot join channel (+i)"
        case Refusal.KEY_WRONG:
            return "475", "Cannot join channel (+k)"
        case Refusal.NOT_ATTENDING:
            return "442", "You're not on that channel"
        case Refusal.ALREADY_ATTENDING:
            return "443", "is already on channel"
        case Refusal.NO_VOICE:
            return "404", "Cannot send to channel (+m)"
        case Refusal.ROLE_TOO_LOW | Refusal.INVITE_DENIED:
            return "482", "You're not channel operator"
        case Refusal.ROLE_OF_TARGET:
            return "482", "Their rank is as high as yours or higher"
        case Refusal.LAST_OWNER:
            return "482", "A channel needs an owner: make somebody else one first"
        case Refusal.ACTOR_ABSENT:
            return "441", "They aren't on that channel"
        case Refusal.BLOCKING:
            return "404", "You have blocked them"
        case Refusal.TARGET_UNKNOWN:
            return "400", "This message does not exist or is too old"
        case Refusal.TARGET_FOREIGN:
            return "400", "You are not authorised to change this message"
        case (
            Refusal.NODE_UNKNOWN
            | Refusal.NODE_EXISTS
            | Refusal.NODE_CLOSED
            | Refusal.NODE_DIFFERS
            | Refusal.ITEM_UNKNOWN
            | Refusal.NOT_SUBSCRIBED
        ):
            return "400", "There is nothing of the kind on IRC"
        case Refusal.TOO_LARGE:
            return "417", "Message is too long"
        case Refusal.TOO_MANY:
            return "400", "There are too many of these already"
        case Refusal.RATE_LIMITED:
            return "400", "Too fast, wait a moment and try again"
        case Refusal.SLOW_MODE:
            return "404", "Cannot send to channel: it is in slow mode, wait a moment"
        case Refusal.BUSY | Refusal.STORAGE_FAILED:
            return "400", "The server cannot store this now, try again later"
        case Refusal.FAULT:
            return "400", "The server made a mistake, try again"
        case Refusal.BAD_REQUEST:
            return "400", "Not understood"
        case _:
            assert_never(refusal)
