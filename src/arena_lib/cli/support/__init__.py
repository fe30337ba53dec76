"""What the verbs share: output and exit codes, and a group that imports a verb when it is called."""
