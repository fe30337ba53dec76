"""Pictures of SAEs' latents: how strongly they are active, and which tokens they favour."""
