"""Durable storage: what `sabir.core.ports.LogStore` asks for, on SQLite.

`schema` has the tables, `migrations` brings a database to them, `lock` keeps a second process out, `sqlite` is
the store, `backup` copies it while it runs and restores it.
"""
