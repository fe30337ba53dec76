"""What was observed of a reference and its mistakes, and which of them a learner's object resembles."""
