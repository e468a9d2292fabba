"""What a connection may use up."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Times in milliseconds, sizes in bytes; `flood_lines_per_s` 0 is unlimited."""

    registration_timeout_ms: int = 30_000
    ping_after_ms: int = 90_000
    ping_timeout_ms: int = 60_000
    flood_burst_lines: int = 40
    flood_lines_per_s: int = 10
    max_waiting_lines: int = 500
    max_multiline_bytes: int = 40_000
    max_multiline_lines: int = 200
    batch_timeout_ms: int = 30_000
    max_sasl_bytes: int = 8192
    max_sasl_failures: int = 3
