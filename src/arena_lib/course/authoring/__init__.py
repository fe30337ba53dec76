"""What authors of a course use: templates, the proof of every exercise, drawings."""
