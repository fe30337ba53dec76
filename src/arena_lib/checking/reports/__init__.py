"""Verdicts for people: plain text, a terminal, HTML with heat maps, and the one place that prints."""
