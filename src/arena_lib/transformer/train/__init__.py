"""Training for real runs: batches, optimizer and schedule, and the loop with its checkpoints."""
