"""Moving accounts between servers: the portable import and export format (XEP-0227).

`person` is one account as the format knows it, `reading` and `writing` are the format, `arriving` and `leaving` bring
accounts into the core and out of it, `archives` what they said.
"""
