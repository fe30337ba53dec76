"""Figures of convolutions: what a strided view picks from memory, and a kernel at work."""
