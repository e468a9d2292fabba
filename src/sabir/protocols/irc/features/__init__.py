"""The commands of registered clients, one module per group; `commands.COMMANDS` is the table of them all."""
