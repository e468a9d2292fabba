"""WebSocket (RFC 6455), version 13, without extensions: the handshake's words and the frames, no sockets.

Known limits: whether a text is UTF-8 is judged when the message is complete, not with each fragment.
"""
