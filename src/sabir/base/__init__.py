"""What every layer may use: identifiers, clocks, secrets and the binding of log fields.

Imports nothing of ours, so everything can import it.
"""
