"""How fast the hot paths are, beside their peers, on this machine.

    python -m benchmarks run --size tiny
    python -m benchmarks report benchmarks/results/*.json
    python -m benchmarks compare OLD.json NEW.json

`paths/` has one file for each hot path, which declares what is measured; `harness/`
measures it; `results/` has the runs that the table in README.md was made from.
"""
