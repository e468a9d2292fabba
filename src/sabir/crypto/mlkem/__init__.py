"""ML-KEM-768 (FIPS 203) with encapsulation in two steps, as the ML-KEM Braid needs it.

Keys are made and secrets decapsulated by `cryptography`. The two steps of encapsulation are ours, because no library
offers them: the first needs only the seed and the hash of the encapsulation key, and gives the larger part of the
ciphertext and the secret; the second needs the rest of the key, and gives the smaller part.

What Python cannot promise: its integers take time that depends a little on their size, it keeps copies of secrets in
memory until they are overwritten by chance, and nothing here erases them. The long-lived secret, the decapsulation key,
is handled by the native library alone. What ours handles lives for one secret: the 32 random bytes and the noise made
of them, in code whose branches and memory accesses depend on public values only, except for two table look-ups by a
random byte of noise.
"""
