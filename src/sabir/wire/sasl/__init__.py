"""SASL for every front end: PLAIN and SCRAM with SHA-1 and SHA-256, server and client side, and logins by token.

RFC 4422, RFC 4616 (PLAIN), RFC 5802 and RFC 7677 (SCRAM), RFC 4013 (SASLprep), RFC 5929 and RFC 9266
(channel binding).
A mechanism is a pure object that takes and gives the bytes of the exchange; how they travel (base64 in XML,
400-byte lines in IRC) is the protocol's affair. Verifiers are made by `credentials.make_verifier`.
"""
