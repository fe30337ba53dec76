"""What causes what: patching activations and paths, by loops that can be read and by fast forms held equal to them."""
