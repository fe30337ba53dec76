"""One quantity in each file: time, its spread, the machine's limits, memory, launches, goals."""
