"""The client toolkit: an account as a person uses it, over XMPP, with an archive of its own and messages kept secret.

`Client` is what an interface talks to: it sends, corrects, reacts and reads, keeps what was said in an `Archive`
whose contents are sealed, sends what waited once it is connected again, and tells its listeners what changed.
`sabir.client.chat` is one such interface, for the terminal.

XMPP on the client's side is slixmpp; what a message says is read and written in `stanzas`, which does no I/O.
"""
