"""Bytes to lines and back, incremental, knowing no state."""
