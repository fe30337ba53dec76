"""Figures of reinforcement learning: gridworlds and episodes, curves over many runs."""
