from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from idpipe.config import PatternName
from idpipe.images import PATTERNS


def test_every_pattern_of_the_config_is_drawn_and_no_other_and_they_differ():
    assert set(PATTERNS) == set(get_args(PatternName))
    assert len({pattern(28).tobytes() for pattern in PATTERNS.values()}) == len(PATTERNS)


each = pytest.mark.parametrize("name", PATTERNS)


@each
def test_patterns_are_gray_values_of_their_size(name):
    for size in (1, 5, 28, 32, 112, 500):
        drawn = PATTERNS[name](size)
        assert drawn.shape == (size, size) and np.issubdtype(drawn.dtype, np.floating)
        assert drawn.min() >= 0 and drawn.max() <= 1, size
        np.testing.assert_array_equal(drawn, PATTERNS[name](size))


@each
def test_a_pattern_is_one_picture_at_any_size(name):
    large = PATTERNS[name](112)
    for size in (7, 28, 56):
        blocks = large.reshape(size, 112 // size, size, 112 // size).mean(axis=(1, 3))
        np.testing.assert_allclose(PATTERNS[name](size), blocks, atol=1e-9)


@each
def test_sizes_that_do_not_divide_show_nearly_the_same_picture(name):
    shown = np.asarray(Image.fromarray(PATTERNS[name](448).astype(np.float32)).resize((32, 32), 4))
    assert np.abs(PATTERNS[name](32) - shown).mean() < 0.01


def test_patterns_have_the_geometry_of_their_name():
    drawn = {name: pattern(224) for name, pattern in PATTERNS.items()}
    assert np.ptp(drawn["flat"]) == 0
    np.testing.assert_allclose(drawn["gradient"][3], (np.arange(224) + 0.5) / 224)
    board = np.indices((7, 7)).sum(0) % 2
    np.testing.assert_array_equal(drawn["checkerboard"], np.kron(board, np.ones((32, 32))))
    np.testing.assert_array_equal(drawn["stripes"][5, ::32], [0, 1, 0, 1, 0, 1, 0])
    assert drawn["circle"].mean() == pytest.approx(math.pi * (5 / 14) ** 2, abs=1e-3)
    assert drawn["cross"].mean() == pytest.approx((2 * 5 - 1) / 49, abs=1e-3)
    assert drawn["dots"].mean() == pytest.approx(math.pi * 0.3**2, abs=2e-3)
    rings = sum(math.pi * (2 * k + 1) / 49 for k in (1,)) + math.pi * (3.5**2 - 9) / 49
    inner = np.hypot(*(np.indices((224, 224)) - 111.5)) < 112
    assert drawn["rings"][inner].sum() / 224**2 == pytest.approx(rings, abs=2e-3)
    noise = PATTERNS["noise"](28)
    assert 0.25 < noise.std() < 0.32 and len(np.unique(noise)) == 784
