"""`arena rl`: agents outside notebooks."""
