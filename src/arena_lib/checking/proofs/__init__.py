"""What is proved of every test before a learner meets it: `arena verify` runs these."""
