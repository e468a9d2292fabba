"""XMPP's words to the core's and back, as PROTOCOLS sections 2 and 3 map them; pure functions.

`native` opens the stored form of what an XMPP client said, `content` derives canonical content from it,
`render` writes what people said in other protocols as children of a `<message/>`, `styling` turns Markdown
into the marks that XMPP clients show.
"""

from sabir.protocols.xmpp.translate.content import XmppTranslator, content_of_message
from sabir.protocols.xmpp.translate.native import (
    element_of_native,
    event_id_of,
    origin_of_native,
    stanza_id_of,
    timestamp,
)
from sabir.protocols.xmpp.translate.render import Mentioned, Rendered, Target, render, tombstone

__all__ = [
    "Mentioned",
    "Rendered",
    "Target",
    "XmppTranslator",
    "content_of_message",
    "element_of_native",
    "event_id_of",
    "origin_of_native",
    "render",
    "stanza_id_of",
    "timestamp",
    "tombstone",
]
