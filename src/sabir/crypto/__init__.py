"""End-to-end encryption: the Signal protocol, pure: no socket, no clock, no file."""
