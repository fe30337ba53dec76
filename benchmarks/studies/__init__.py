"""Studies: what agents reach over ten seeds, with every seed's raw figures.

Settings are chosen on seeds 100 to 104 and reported on 0 to 9. Each study is declared in one module for its
algorithm; `python -m benchmarks study NAME` trains, and `python -m benchmarks study --table` writes
docs/rl_results.md from what is stored. `truth/`, the study of sparse autoencoders, and `rlhf/`, that of learning from
rewards and preferences, have commands of their own.
"""
