"""Small programs that `make` runs on this repository."""
