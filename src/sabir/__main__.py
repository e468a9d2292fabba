"""`python -m sabir` is the `sabir` command."""

from sabir.cli import main

main()
