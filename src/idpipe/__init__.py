"""Identity or constant? What networks trained on one image learn (Zhang et al., ICLR 2020)."""

__version__ = "0.1.0"
