"""What a latent means: where it is active, what its directions say, and what the model does with it."""
