"""Mechanical edits of the library itself, and which of its own tests notice them: `python -m tests.mutation`."""
