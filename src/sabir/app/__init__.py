"""The composition root: reads the settings, builds the parts, starts and stops them."""
