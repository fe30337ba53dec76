"""Figures of single points: nodes with edges between them, and scatter plots."""
