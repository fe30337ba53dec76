"""What authors of exercises and readers of timings do."""
