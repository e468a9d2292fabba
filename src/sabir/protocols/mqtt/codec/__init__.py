"""Bytes to packets and back, incremental, knowing no state but the version that CONNECT names."""
