"""Sabir: one messaging server that speaks every IM protocol."""

__version__ = "0.1.0"
