"""The store on SQLite: one writer thread, a log that only grows at its end, an index written behind it.

`writer` commits batches and has the only write connection; between batches it runs `indexing`, which turns
the numbers of recent entries, kept in memory as `segment`s, into sorted runs. `reading` finds events in segments
and runs. `store` is what the core sees.
"""
