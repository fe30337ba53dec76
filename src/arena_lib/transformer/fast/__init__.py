"""The fast forms: GPT-2, Llama and attention only, with hooks that cost nothing where none is set."""
