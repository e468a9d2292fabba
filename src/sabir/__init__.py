"""Sabir: one messaging server that speaks every IM protocol."""
