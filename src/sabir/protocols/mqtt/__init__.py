"""MQTT 5.0 and 3.1.1: a broker for devices, bots and scripts.

A client logs in with the name and password of an account. Topics are the broker's own space: what is published
goes to whoever subscribes, under the rules of `mqtt.acl`. Client identifiers are those of an account: two accounts
may use the same one.

The topics below `chat/v1/` are rooms and people: what is published there is said, and what anybody says is published
(`docs/protocols/mqtt.md` lists them). What a client does there takes effect through the core, as of any other protocol.

Sessions that are to outlive their connection, what waits in them and retained messages are in the store (tables
`mqtt_*`); everything else is in memory.

Layers: `codec` turns bytes into packets and back, `machine` keeps what one connection and the two flows of a session
must remember, `features` is the broker (subscriptions, retained messages, sessions, logins), `session` ties one
connection to it.

The table of specifications is `spec.toml`.
"""
