"""Measurements of idpipe against what people would write; `python -m benchmarks --help`."""
