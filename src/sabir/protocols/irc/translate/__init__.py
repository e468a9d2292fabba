"""IRC's words to the core's and back, as PROTOCOLS sections 2 and 3 map them; pure functions.

`native` is the stored form of what an IRC client said, `accept` makes it (and strips what could be
forged), `content` derives canonical content from it, `render` writes any event as lines for one variant of
capabilities.
"""
