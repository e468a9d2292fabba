"""The shared vocabulary of every protocol, and the rules that hold for all of them.

Pure: no I/O, no clock, no randomness, no protocol's words. What the core needs from outside it declares
in `sabir.core.ports`; what it refuses is in `sabir.core.errors`.

* `model`: values and the in-memory state (actors, accounts, conversations, events, content, signals).
* `log`: the one way to make something durable. It checks, numbers, batches, and acknowledges.
* `delivery`: from a committed event to the sessions that must see it; slow readers become cursors.
* `policy`: who may do what.
* `services`: one use case per module; the only thing that sessions call.
"""
