"""Figures of a calculation as a graph, of small pictures in rows, and of paths over a surface."""
