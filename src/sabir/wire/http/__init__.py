"""HTTP/1.1 on the server's side (RFC 9110, RFC 9112): a connection's machine, without sockets.

Known limits: no trailers, no upgrade (a request for one is answered as if it had not asked, RFC 9110 §7.8).
"""
