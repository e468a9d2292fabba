"""Fill a data folder as a server fills it in a year: 1,000,000 messages in 10,000 conversations.

    python -m bench.preload DIR
    python -m bench --server sabir --preloaded DIR

Small tables hide what an index costs (`docs/benchmarks.md`), so Sabir is measured on a copy of such a folder.
"""

import argparse
import time
from pathlib import Path

from bench.storage_append import Filler

BATCH = 4000


def main() -> None:
    """Fill the folder through the storage API, as the log does."""
    parser = argparse.ArgumentParser(prog="python -m bench.preload", description=__doc__)
    parser.add_argument("data", type=Path, metavar="DIR", help="a new folder")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--conversations", type=int, default=10_000)
    options = parser.parse_args()
    options.data.mkdir(mode=0o700, parents=True, exist_ok=False)
    started = time.perf_counter()
    filler = Filler(options.data, options.conversations, rooms=False)
    for batch in filler.batches(options.messages, BATCH):
        filler.commit(batch)
    filler.close()
    took_s = time.perf_counter() - started
    print(f"{options.messages:,} messages in {options.conversations:,} conversations, in {took_s:.0f} s")


if __name__ == "__main__":
    main()
