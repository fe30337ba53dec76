"""Hooks, the cache of a pass, and activations that are derived from it when they are asked for."""
