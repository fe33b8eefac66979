"""Figures: pure functions from a run's tables and images to matplotlib figures.

`registry` lists them and imports nothing heavy; `draw` draws and writes one by name.
"""
