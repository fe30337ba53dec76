"""Transformers: the plain lesson forms, the fast forms, and what trains and samples them."""
