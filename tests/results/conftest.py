"""Runs made up for figures serve here too."""

from figures.conftest import run as run
