"""Automatic interpretation: another model explains a latent, and a judge says how well the explanation predicts it."""
