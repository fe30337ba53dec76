"""What the verbs share: output and exit codes, and commands that start fast."""
