"""Session: one call of Snakemake, and the processes it starts. Nothing is imported here either."""
