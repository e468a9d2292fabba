"""What one connection must remember, and the two flows of a session.

`Machine`, the connection: waits for CONNECT -> is asked by AUTH (only if CONNECT names a method) -> connected -> over.
It checks what can be told from the packets of one connection alone: their order, topic aliases, keep-alive,
sizes. Packets that pass are given to the session in their order.

`Caller` is the other side of it, for bridges: says CONNECT -> waits for CONNACK -> connected -> over.

`Outflow` and `Inflow`, the session's state (MQTT 5.0 §4.1), outlive the connection: what was sent and not
acknowledged, what waits to be sent, and the packet identifiers of QoS 2 that came and were not released.
"""

from sabir.protocols.mqtt.machine.calling import Caller
from sabir.protocols.mqtt.machine.connection import Broken, Limits, Machine
from sabir.protocols.mqtt.machine.flows import Inflow, Outflow, Sending, Stock
from sabir.protocols.mqtt.machine.outbox import Outbox

__all__ = ["Broken", "Caller", "Inflow", "Limits", "Machine", "Outbox", "Outflow", "Sending", "Stock"]
