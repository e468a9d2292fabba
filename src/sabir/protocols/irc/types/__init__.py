"""IRC's words as values: lines, capabilities, and what a connection's machine reports."""
