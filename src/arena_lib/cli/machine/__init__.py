"""What concerns the machine: the models that are on it, and its health."""
