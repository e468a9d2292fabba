"""`sabir chat`: a client for the terminal, over the toolkit; Textual draws it."""

from sabir.client.chat.app import ChatApp

__all__ = ["ChatApp"]
