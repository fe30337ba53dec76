"""One quantity to a file: time, its spread, the machine's limits, memory, launches, goals."""
