"""What changes when latents do: ablation, attribution, steering."""
