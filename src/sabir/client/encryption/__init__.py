"""How messages are kept from every server: OMEMO in both its versions, and files that travel with them."""
