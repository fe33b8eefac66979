"""Evaluation: what trained networks make of probes, and what their layers do."""

from idpipe.evaluate.analysis import (
    RESIZED,
    VIEWED,
    chance_row,
    distance_rows,
    distances,
    error_rows,
    pictures,
    upper_layers,
    viewed,
)
from idpipe.evaluate.classifier import chance_error, error_rates, first_per_class
from idpipe.evaluate.predictions import measure, outputs, predict
from idpipe.evaluate.views import chosen_channel, most_correlated, picture, top_singular

__all__ = [
    "RESIZED",
    "VIEWED",
    "chance_error",
    "chance_row",
    "chosen_channel",
    "distance_rows",
    "distances",
    "error_rates",
    "error_rows",
    "first_per_class",
    "measure",
    "most_correlated",
    "outputs",
    "picture",
    "pictures",
    "predict",
    "top_singular",
    "upper_layers",
    "viewed",
]
