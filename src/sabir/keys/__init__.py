"""The directory of public keys over HTTP: what devices publish and fetch for encrypted sessions."""
