"""Bytes and peers: listeners, TLS, backpressure, timers and rate limits. Knows no protocol."""
