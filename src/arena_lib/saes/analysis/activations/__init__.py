"""Where latents are active: examples, histograms, statistics over texts."""
