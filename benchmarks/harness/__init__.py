"""Measuring: declarations, clocks, paired runs, the record of a run, report and comparison."""
