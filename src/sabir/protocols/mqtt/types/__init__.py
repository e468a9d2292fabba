"""Packets, properties and reason codes, as values."""
