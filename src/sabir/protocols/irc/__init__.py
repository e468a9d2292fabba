"""IRC: RFC 1459 and RFC 2812 as clarified by the Modern IRC document, with IRCv3.

An IRC account is the account, its nick is its name; a channel `#x` is the room `x`. Several clients of one
An IRC account is the account, its nick is its name; a channel `#x` is the room `x`. Several clients of one
says the others see. Channel modes are the room's configuration and its roles: `q` owner, `a` administrator,
`o` moderator, `v` a voice in a moderated room, `b` a ban. Users of other protocols appear under their account
name.

Known limits: no server links, no operators (the command line is the operator's tool), no DCC, texts are UTF-8
only. The table of specifications is `spec.toml`.
"""
