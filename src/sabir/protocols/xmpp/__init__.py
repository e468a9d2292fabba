"""XMPP: RFC 6120, 6121, 7590 and 7622, and the extensions of `spec.toml`.

How it maps to the core: an account is `name@domain`, a device is a resource, a direct conversation is the two
bare addresses, a room is `name@rooms.domain`. Messages with a body, encrypted ones, corrections, retractions,
reactions and subjects are entries of the log; chat states and receipts are signals; everything else between two
clients is relayed as it came.

What a client of XMPP says is stored as it will be shown to others, sanitised (`accept`), and goes to them as the
same bytes; unknown namespaces pass through untouched. Other protocols' messages are written by `translate`.

Limits: no federation yet (`remote-server-not-found`), no WebSocket or BOSH, no pubsub.
"""
