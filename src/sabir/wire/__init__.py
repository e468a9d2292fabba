"""Formats that several protocols share: pure code, bytes in, values out."""
