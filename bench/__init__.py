"""Load tests of Sabir and of the servers it is measured beside.

`python -m bench` (or `make bench`) starts each server in turn on one core, drives it from another over real
sockets with the real protocols, checks that every message arrived once and in order, and reports what the
server paid for it. `docs/benchmarks.md` tells how to read the figures.
"""
