"""The core's values and its state in memory."""
