"""Figures of optimizers at work: ways down a surface as a moving picture."""
