"""The front ends: one package per protocol, all of one shape; they never import each other."""
