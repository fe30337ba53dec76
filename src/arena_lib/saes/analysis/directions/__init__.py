"""What latents' directions say by themselves: the tokens they favour, and how they lie to each other."""
