"""Studies: what agents reach over ten seeds, with every seed's raw figures.

Settings are chosen on seeds 100 to 104 and reported on 0 to 9. Each study is declared in one module for its
algorithm; `python -m benchmarks study NAME` trains, and `python -m benchmarks study --table` writes
docs/rl_results.md from what is stored. `truth/` is the study of sparse autoencoders, with a command of its own.
"""
