"""Ties one connection to the broker."""

from sabir.protocols.mqtt.session.connected import MqttSession, Place

__all__ = ["MqttSession", "Place"]
