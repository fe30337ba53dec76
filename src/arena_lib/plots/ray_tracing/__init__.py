"""Figures of ray tracing: rays and segments, distances, lit pictures, and films of them."""
