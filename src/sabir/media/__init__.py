"""The bytes of files that people share: kept on disk, put and got over HTTP. Who may, and how much, the core decides.

Known limits: one process writes; no copies of the same file are joined.
"""
