"""What agents' small networks need to act and to learn quickly."""
