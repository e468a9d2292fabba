"""The ML-KEM Braid: two people agree on one post-quantum secret after another, in pieces of 32 bytes.

Signal's "The ML-KEM Braid Protocol". A message that is sent anyway carries one piece; what is lost, late or
doubled costs nothing but time.
"""
