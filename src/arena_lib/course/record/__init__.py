"""What a learner has done: events in one file, where they stand, hints given, and what has become stale."""
