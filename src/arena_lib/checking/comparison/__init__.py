"""Comparing what was seen with what was expected: values, shapes, and the pattern of what is wrong."""
