"""Ties one connection to the broker."""

from sabir.protocols.mqtt.session.bridge import Bridge
from sabir.protocols.mqtt.session.connected import MqttSession
from sabir.protocols.mqtt.session.place import Place

__all__ = ["Bridge", "MqttSession", "Place"]
