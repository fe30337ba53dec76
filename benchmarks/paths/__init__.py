"""The hot paths: one module each, with one `BENCHMARK`."""
