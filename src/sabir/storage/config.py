"""Settings of the store."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """Settings under `[storage]`: how messages reach the disk."""

    sync: Literal["commit", "interval"] = "commit"
    """`commit`: whatever is acknowledged is on the disk. `interval`: the disk is told to write only every 100 ms,
    which saves a lone message about 0.4 ms; a crash of Sabir still loses nothing, but a power cut or a crash of the
    system loses what was acknowledged since, and numbers that clients saw may be given again."""

    readers: int = 2
    """Threads that read pages of history."""

    cache_mib: int = 2
    """Memory for pages of the database, for the writer and for each reader."""

    search: bool = True
    """Keep an index of what is said, so that clients can search (in a file of its own, `search.db`). It is brought up
    to date while nobody talks, and when somebody searches. Encrypted messages are never in it."""

    def __post_init__(self) -> None:
        """Refuse impossible values.

        Raises:
            ValueError: names the key and the fix.
        """
        if not 1 <= self.readers <= 64:
            raise ValueError("readers: must be from 1 to 64")
        if not 1 <= self.cache_mib <= 4096:
            raise ValueError("cache_mib: must be from 1 to 4096")
