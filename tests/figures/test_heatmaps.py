import math
from functools import partial
from itertools import product

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from idpipe.figures.parts.heatpanel import (
    CORRELATION,
    MSE,
    decimals,
    one_digit,
    summarize,
    two_digits,
)
from idpipe.results import ladder

SHIFTS = {"constant": 0.0, "identity": 0.3}
T2, T1 = 4.302653, 12.706205
"""Student's 97.5 % points for 2 and 1 degrees of freedom."""


def spread(base):
    """Replicates at base + rho/10 - 0.1, +0, +0.1 (to the identity: 0.3 more); probes at +-0.02."""
    return lambda replicate, rho, probe, reference: (
        base + rho / 10 + 0.1 * (replicate - 1) + 0.04 * (probe - 0.5) + SHIFTS[reference]
    )


def panels(drawn):
    """Heat panels, without the colour bar."""
    return [axes for axes in drawn.axes if any(t.get_gid() == "mean" for t in axes.texts)]


def numbers(axes, gid):
    """(row, column) -> text of the numbers of one kind in a panel."""
    found = [text for text in axes.texts if text.get_gid() == gid]
    return {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in found}


def test_fig04_prints_mean_and_interval_of_known_replicates_on_the_means_colours(run):
    for depth in (5, 1, 20):
        run.add("cnn_depth", depth, measure=spread(depth / 100))
    drawn = run.draw("fig04")
    for axes, name, shift in zip(panels(drawn), ("constant", "identity"), (0, 0.3), strict=True):
        assert axes.get_title() == f"Correlation to the {name}"
        means, halves = numbers(axes, "mean"), numbers(axes, "half")
        expected = np.add.outer((0.01, 0.05, 0.2), np.arange(11) / 100 + shift)
        for place, mean in np.ndenumerate(expected):
            assert means[place] == f"{mean:.2f}"[1:]
            assert halves[place] == f"±{T2 * 0.1 / math.sqrt(3):.2f}".replace("0.", ".")
        (mesh,) = axes.findobj(QuadMesh)
        assert mesh.get_clim() == (0.0, 1.0) and mesh.get_cmap().name == "viridis"
        np.testing.assert_allclose(mesh.get_array(), expected)
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert labels[::5] == ["0", "0.5", "1"]
    assert drawn.texts("row") == ["1", "5", "20"]
    assert drawn.texts("mark") == []
    assert "5 × 5 filters, 32 channels. Training image: digits." in drawn.note
    assert "mean over replicates (3) of each one's mean over 2 probes per ρ" in drawn.note
    assert "95% interval (Student t)" in drawn.note
    assert "a negative correlation has the colour of 0" in drawn.note
    at_90 = f"±{2.919986 * 0.1 / math.sqrt(3):.2f}".replace("0.", ".")
    assert numbers(panels(run.draw("fig04", interval=0.9))[0], "half")[0, 0] == at_90


def test_a_negative_correlation_has_the_lowest_colour_and_its_own_number(run):
    run.add("cnn_depth", 1, measure=lambda r, rho, p, ref: -0.25 + rho)
    axes = panels(run.draw("fig04"))[0]
    assert numbers(axes, "mean")[0, 0] == "−.25"
    assert CORRELATION.rgba(-0.25) == CORRELATION.rgba(0.0) != CORRELATION.rgba(0.1)


def test_dead_replicates_are_left_out_and_their_row_says_so(run):
    run.add("cnn_depth", 1, measure=spread(0.5))
    run.add("cnn_depth", 5, ("converged", "max_steps", "dead"), measure=spread(0.5))
    run.add("cnn_depth", 9, ("converged", "diverged", "dead"), measure=spread(0.5), restarts=1)
    drawn = run.draw("fig04")
    axes = panels(drawn)[0]
    means, halves = numbers(axes, "mean"), numbers(axes, "half")
    assert [means[row, 0] for row in range(3)] == [".50", ".45", ".40"]
    assert halves[0, 0] == "±.25"
    assert halves[1, 0] == "±" + f"{T1 * 0.1 / math.sqrt(2) / math.sqrt(2):.2f}"[1:]
    assert (2, 0) not in halves
    assert drawn.texts("mark") == ["2 of 3 †", "1 of 3"]
    assert "Red: replicates in the row's numbers; the others died or diverged." in drawn.note
    assert "not converged within the budget: 1 at layers 5." in drawn.note
    assert "Restarted after they died or diverged: 3 at layers 9." in drawn.note


def test_rows_without_a_live_replicate_are_hatched_with_the_word(run):
    run.add("cnn_depth", 1, ("converged", "converged"), measure=spread(0.5))
    for depth, statuses in enumerate((["dead"] * 2, ["diverged"] * 2, ["diverged", "dead"]), 2):
        run.add("cnn_depth", depth, statuses, measure=spread(0.5))
    drawn = run.draw("fig04")
    for axes in panels(drawn):
        blocks = [p for p in axes.findobj(Rectangle) if p.get_gid() == "block"]
        assert all(block.get_hatch() for block in blocks)
        bounds = [block.get_bbox().bounds for block in blocks]
        assert bounds == [(0, 1, 11, 1), (0, 2, 11, 1), (0, 3, 11, 1)]
        assert {row for row, _ in numbers(axes, "mean")} == {0}
        assert np.ma.getmaskarray(axes.findobj(QuadMesh)[0].get_array())[1:].all()
    words = ("dead", "diverged", "dead or diverged")
    assert drawn.texts("word") == [f"{word} (2 of 2)" for word in words] * 2


def test_undefined_values_are_in_no_mean_and_counted(run):
    def measure(replicate, rho, probe, reference):
        flat = rho == 0 or (rho == 1 and replicate == 0)
        return math.nan if flat and reference == "identity" else 0.5 + 0.2 * (replicate == 0)

    run.add("cnn_depth", 1, measure=measure)
    drawn = run.draw("fig04")
    identity = panels(drawn)[1]
    assert numbers(identity, "undefined") == {(0, 0): "–"}
    assert numbers(identity, "mean")[0, 10] == ".50"
    assert numbers(identity, "mean")[0, 5] == ".57"
    assert "8 undefined values are in no mean" in drawn.note


def test_one_replicate_has_no_interval(run):
    run.add("cnn_depth", 1, ("converged",), measure=spread(0.5))
    drawn = run.draw("fig04")
    assert numbers(panels(drawn)[0], "half") == {}
    assert "±" not in "".join(text.get_text() for text in drawn.figure.findobj(Text))
    assert "no interval" in drawn.note


def test_fig14_has_relu_above_linear_with_hidden_layers(run):
    bases = {"fcn_linear_depth": 0.1, "fcn_relu_depth": 0.4}
    for study, depth, width in product(bases, (1, 2, 10), (8, 64)):
        run.add(study, depth, measure=spread(bases[study] + (width == 64) / 10), width=width)
    drawn = run.draw("fig14")
    assert drawn.texts("row") == ["0", "1", "9"] * 2
    found = [t.get_text() for t in drawn.figure.texts]
    assert found.count("Hidden layers") == 2
    assert found.index("(a) ReLU") < found.index("(b) Linear")
    relu, _, linear, _ = panels(drawn)
    assert relu.get_position().y0 > linear.get_position().y1
    assert numbers(relu, "mean")[0, 0] == ".50" and numbers(linear, "mean")[0, 0] == ".20"
    assert "64 hidden units (the largest of 8, 64)." in drawn.note


def test_mse_figures_read_their_own_study(run):
    studies = {"fcn_linear_depth": 0.02, "fcn_relu_depth": 0.6, "cnn_depth": 1.5}
    for study, value in studies.items():
        for depth in (1, 4):
            run.add(study, depth, measure=lambda r, rho, p, ref, v=value: v)
    for name, base in zip(("fig33", "fig34", "fig35"), studies.values(), strict=True):
        drawn = run.draw(name)
        titles = [axes.get_title() for axes in panels(drawn)]
        assert titles == ["MSE to the constant", "MSE to the identity"]
        assert set(numbers(panels(drawn)[0], "mean").values()) == {two_digits(base)}
        assert drawn.texts("row") == (["1", "4"] if name == "fig35" else ["0", "3"])
        limits = {axes.findobj(QuadMesh)[0].get_clim() for axes in panels(drawn)}
        assert limits == {(MSE.lower, MSE.upper)}
        assert f"Colours span {MSE.lower:g} to {MSE.upper:g} on a log scale" in drawn.note


def test_numbers_fit_their_cells_at_paper_scale(run):
    values = iter(np.random.default_rng(0).uniform(0, 0.9, 100_000))
    for depth in range(1, 19):
        run.add("cnn_depth", depth, ("converged",) * 5, measure=lambda *_: next(values))
    drawn = run.draw("fig35")
    axes = panels(drawn)[0]
    cell = axes.get_window_extent().width / 11
    assert max(text.get_window_extent().width for text in axes.texts if text.get_gid()) < cell
    assert drawn.figure.get_size_inches()[1] < 9


def test_a_fine_grid_of_rho_is_drawn_without_numbers(run):
    run.rho = tuple(np.linspace(0, 1, 41))
    run.add("cnn_depth", 1, measure=spread(0.5))
    drawn = run.draw("fig04")
    assert panels(drawn) == []
    assert "Too many values of ρ to print their numbers" in drawn.note


def test_a_study_that_trains_on_several_images_is_refused(run):
    run.add("cnn_depth", 1, measure=spread(0.5), examples="7/39 3/0")
    run.refuses("fig04", r"studies\.cnn_depth: no correlated probes")


def test_summary_against_brute_force(run):
    table = np.random.default_rng(3).normal(size=(2, 3, 11, 2, 2))

    def measure(number, replicate, rho, probe, reference):
        return table[number, replicate, round(10 * rho), probe, int(reference == "identity")]

    for number, depth in enumerate((1, 5)):
        run.add("cnn_depth", depth, measure=partial(measure, number))
    results = run.results()
    heat = summarize(results, ladder(results, "cnn_depth"), "identity", "correlation", 0.95)
    each = table[..., 1].mean(axis=3)
    np.testing.assert_allclose(heat.mean, each.mean(axis=1))
    np.testing.assert_allclose(heat.half, T2 * each.std(axis=1, ddof=1) / np.sqrt(3), rtol=1e-6)


DECIMALS = {
    0.957: ".96", 1.0: "1.00", 0.0: ".00", -0.004: ".00", -0.0314: "−.03", 12.7: "13"
}  # fmt: skip
SHORT = {
    0.0: ("0", "0"),
    1.7312: ("1.7", "1.7"),
    0.4812: (".48", ".48"),
    0.0312: (".031", ".03"),
    0.0049: (".005", ".005"),
    0.00031: ("3e-4", "3e-4"),
    0.00094: ("9e-4", "9e-4"),
    2e-5: ("2e-5", "2e-5"),
    0.0996: (".10", ".10"),
    0.996: ("1.0", "1.0"),
    9.96: ("10", "10"),
    48.2: ("48", "48"),
    73000.0: ("7e4", "7e4"),
}
"""Value -> in two digits, in one."""


def test_numbers_are_short():
    assert {value: decimals(value) for value in DECIMALS} == DECIMALS
    assert {value: (two_digits(value), one_digit(value)) for value in SHORT} == SHORT


def test_short_numbers_are_true_and_short_over_all_magnitudes():
    for value in np.logspace(-6, 5, 997):
        for text in (two_digits(value), one_digit(value)):
            assert len(text) <= 4, value
            assert float(text) == pytest.approx(value, rel=0.5), value


def test_fig25_has_a_row_per_filter_size(run):
    for kernel in (57, 5):
        run.add("cnn_kernel", 5, measure=spread(kernel / 100), kernel=float(kernel))
    drawn = run.draw("fig25")
    assert drawn.texts("row") == ["5 × 5", "57 × 57"]
    constant = numbers(panels(drawn)[0], "mean")
    assert (constant[0, 0], constant[1, 0]) == (".05", ".57")
    assert drawn.note.startswith("5 layers, 32 channels.")


@pytest.mark.parametrize(("depths", "shown"), [((20, 5), 5), ((7, 3), 3)])
def test_fig27_has_a_row_per_number_of_channels_at_5_layers(run, depths, shown):
    for depth in depths:
        for width in (128, 3):
            run.add("cnn_channels", depth, measure=spread((depth + width) / 1000), width=width)
    drawn = run.draw("fig27")
    assert drawn.texts("row") == ["3", "128"]
    constant = numbers(panels(drawn)[0], "mean")
    for row, width in enumerate((3, 128)):
        assert constant[row, 0] == f"{(shown + width) / 1000:.2f}"[1:]
    assert drawn.note.startswith(f"{shown} layers, 5 × 5 filters.")
