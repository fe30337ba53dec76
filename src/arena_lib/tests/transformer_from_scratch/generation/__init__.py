"""Judges of the exercises that write text: sampling, beam search and the KV cache."""

__test__ = False
