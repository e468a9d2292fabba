"""The operator's ways in: the control socket that commands use, and health and metrics over HTTP."""
