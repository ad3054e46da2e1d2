"""A cloud on one machine: stand-ins for all that the handler talks to, for demo and tests.

Nothing in this package is shipped, and nothing that is shipped knows of it.
"""
