"""One file per client: each reads a whole topic and prints its fingerprint as JSON.

Run as `python -m readers.NAME TASK`, TASK being the JSON that `harness.reading` makes.
"""
