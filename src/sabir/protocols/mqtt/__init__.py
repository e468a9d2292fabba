"""MQTT 5.0 and 3.1.1: a broker for devices, bots and scripts.

A client logs in with the name and password of an account. Topics are the broker's own space: what is published
goes to whoever subscribes, under the rules of `mqtt.acl`. Client identifiers are those of an account: two accounts
may use the same one.

The topics `chat/v1/r/<room>/text` and `/msg` are rooms: what is published there is said in the room, and what anybody
says there is published.

Sessions that are to outlive their connection, what waits in them and retained messages are in the store (tables
`mqtt_*`); everything else is in memory.

Layers: `codec` turns bytes into packets and back, `machine` keeps what one connection and the two flows of a session
must remember, `features` is the broker (subscriptions, retained messages, sessions, logins), `session` ties one
connection to it.

The table of specifications is `spec.toml`.
"""
