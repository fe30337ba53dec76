"""Wrong versions of a reference that nobody has to think of: mechanical edits, and ignored parameters."""
