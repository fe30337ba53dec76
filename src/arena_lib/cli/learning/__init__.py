"""What a learner does: see, start, write, be judged, ask for help."""
