"""`arena saes`: superposition and sparse autoencoders outside notebooks."""
