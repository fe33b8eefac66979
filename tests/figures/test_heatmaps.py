from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from idpipe.config import FigureStyle
from idpipe.errors import FigureError
from idpipe.figures.draw import draw
from idpipe.figures.heatpanel import CORRELATION, MSE, decimals, one_digit, summarize, two_digits
from idpipe.figures.ladder import ladder

STYLE = FigureStyle()
T2, T1 = 4.302653, 12.706205
"""Student's 97.5 % points for 2 and 1 degrees of freedom."""


def spread(base):
    """Replicates at base + rho/10 - 0.1, +0, +0.1 (to the identity: 0.3 more); probes at +-0.02."""

    def measure(replicate, rho, probe, reference):
        shift = 0.3 if reference == "identity" else 0.0
        return base + rho / 10 + shift + 0.1 * (replicate - 1) + 0.04 * (probe - 0.5)

    return measure


def panels(figure):
    """Heat panels, without the colour bar."""
    return [axes for axes in figure.axes if any(t.get_gid() == "mean" for t in axes.texts)]


def numbers(axes, gid):
    """(row, column) -> text of the numbers of one kind in a panel."""
    found = [text for text in axes.texts if text.get_gid() == gid]
    return {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in found}


def test_fig04_prints_mean_and_interval_of_known_replicates(run, printed, texts):
    for depth in (5, 1, 20):
        run.add("cnn_depth", depth, measure=spread(depth / 100))
    figure = draw("fig04", run.results(), STYLE)
    constant, identity = panels(figure)
    assert constant.get_title() == "Correlation to the constant"
    assert identity.get_title() == "Correlation to the identity"
    half = f"{T2 * 0.1 / math.sqrt(3):.2f}"[1:]
    for row, depth in enumerate((1, 5, 20)):
        for column in range(11):
            mean = depth / 100 + column / 100
            assert numbers(constant, "mean")[row, column] == f"{mean:.2f}"[1:]
            assert numbers(identity, "mean")[row, column] == f"{mean + 0.3:.2f}"[1:]
            assert numbers(constant, "half")[row, column] == f"±{half}"
    assert texts(figure, "row") == ["1", "5", "20"]
    assert [label.get_text() for label in constant.get_xticklabels()][::5] == ["0", "0.5", "1"]
    assert texts(figure, "mark") == []
    note = " ".join(texts(figure, "note")[0].split())
    assert "5 × 5 filters, 32 channels. Training image: digits." in note
    assert "mean over replicates (3) of each one's mean over 2 probes per ρ" in note
    assert "95% interval (Student t)" in note
    assert "a negative correlation has the colour of 0" in note
    printed(figure)


def test_colours_are_those_of_the_means_with_fixed_limits(run):
    run.add("cnn_depth", 1, measure=spread(0.2))
    figure = draw("fig04", run.results(), STYLE)
    for axes, shift in zip(panels(figure), (0, 0.3), strict=True):
        (mesh,) = axes.findobj(QuadMesh)
        assert mesh.get_clim() == (0.0, 1.0) and mesh.get_cmap().name == "viridis"
        np.testing.assert_allclose(mesh.get_array()[0], 0.2 + shift + np.arange(11) / 100)


def test_a_negative_correlation_has_the_lowest_colour_and_its_own_number(run):
    run.add("cnn_depth", 1, measure=lambda r, rho, p, ref: -0.25 + rho)
    axes = panels(draw("fig04", run.results(), STYLE))[0]
    assert numbers(axes, "mean")[0, 0] == "−.25"
    assert CORRELATION.rgba(-0.25) == CORRELATION.rgba(0.0) != CORRELATION.rgba(0.1)


def test_dead_replicates_are_left_out_and_their_row_says_so(run, printed, texts):
    run.add("cnn_depth", 1, measure=spread(0.5))
    run.add("cnn_depth", 5, ("converged", "max_steps", "dead"), measure=spread(0.5))
    run.add("cnn_depth", 9, ("converged", "diverged", "dead"), measure=spread(0.5), restarts=1)
    figure = draw("fig04", run.results(), STYLE)
    axes = panels(figure)[0]
    means, halves = numbers(axes, "mean"), numbers(axes, "half")
    assert [means[row, 0] for row in range(3)] == [".50", ".45", ".40"]
    assert halves[0, 0] == "±.25"
    assert halves[1, 0] == "±" + f"{T1 * 0.1 / math.sqrt(2) / math.sqrt(2):.2f}"[1:]
    assert (2, 0) not in halves
    assert texts(figure, "mark") == ["2 of 3 †", "1 of 3"]
    note = " ".join(texts(figure, "note")[0].split())
    assert "Red: replicates in the row's numbers; the others died or diverged." in note
    assert "not converged within the budget: 1 at layers 5." in note
    assert "Restarted after they died or diverged: 3 at layers 9." in note
    printed(figure)


def test_rows_without_a_live_replicate_are_hatched_with_the_word(run, printed, texts):
    run.add("cnn_depth", 1, ("converged", "converged"), measure=spread(0.5))
    words = {"dead": ("dead", "dead"), "diverged": ("diverged", "diverged")}
    words["dead or diverged"] = ("diverged", "dead")
    for depth, statuses in enumerate(words.values(), 2):
        run.add("cnn_depth", depth, statuses, measure=spread(0.5))
    figure = draw("fig04", run.results(), STYLE)
    for axes in panels(figure):
        blocks = [p for p in axes.findobj(Rectangle) if p.get_gid() == "block"]
        assert all(block.get_hatch() for block in blocks)
        bounds = [block.get_bbox().bounds for block in blocks]
        assert bounds == [(0, 1, 11, 1), (0, 2, 11, 1), (0, 3, 11, 1)]
        assert {row for row, _ in numbers(axes, "mean")} == {0}
        assert np.ma.getmaskarray(axes.findobj(QuadMesh)[0].get_array())[1:].all()
    assert texts(figure, "word") == [f"{word} (2 of 2)" for word in words] * 2
    printed(figure)


def test_undefined_values_are_in_no_mean_and_counted(run, texts):
    def measure(replicate, rho, probe, reference):
        flat = rho == 0 or (rho == 1 and replicate == 0)
        return math.nan if flat and reference == "identity" else 0.5 + 0.2 * (replicate == 0)

    run.add("cnn_depth", 1, measure=measure)
    figure = draw("fig04", run.results(), STYLE)
    identity = panels(figure)[1]
    assert numbers(identity, "undefined") == {(0, 0): "–"}
    assert numbers(identity, "mean")[0, 10] == ".50"
    assert numbers(identity, "mean")[0, 5] == ".57"
    assert "8 undefined values are in no mean" in texts(figure, "note")[0]


def test_one_replicate_has_no_interval(run, printed, texts):
    run.add("cnn_depth", 1, ("converged",), measure=spread(0.5))
    figure = draw("fig04", run.results(), STYLE)
    assert numbers(panels(figure)[0], "half") == {}
    assert "±" not in "".join(text.get_text() for text in figure.findobj(Text))
    assert "no interval" in texts(figure, "note")[0]
    printed(figure)


def test_the_level_of_the_interval_is_the_styles(run):
    run.add("cnn_depth", 1, measure=spread(0.5))
    figure = draw("fig04", run.results(), FigureStyle(interval=0.9))
    half = f"{2.919986 * 0.1 / math.sqrt(3):.2f}"[1:]
    assert numbers(panels(figure)[0], "half")[0, 0] == f"±{half}"


def test_fig14_has_relu_above_linear_with_hidden_layers(run, printed, texts):
    for study, base in (("fcn_linear_depth", 0.1), ("fcn_relu_depth", 0.4)):
        for depth in (1, 2, 10):
            for width in (8, 64):
                run.add(study, depth, measure=spread(base + (width == 64) / 10), width=width)
    figure = draw("fig14", run.results(), STYLE)
    assert texts(figure, "row") == ["0", "1", "9"] * 2
    found = [t.get_text() for t in figure.texts]
    assert found.count("Hidden layers") == 2
    assert found.index("(a) ReLU") < found.index("(b) Linear")
    relu, _, linear, _ = panels(figure)
    assert relu.get_position().y0 > linear.get_position().y1
    assert numbers(relu, "mean")[0, 0] == ".50" and numbers(linear, "mean")[0, 0] == ".20"
    assert "Hidden width 64 (the largest of 8, 64)." in texts(figure, "note")[0]
    printed(figure)


def test_mse_figures_read_their_own_study(run, printed, texts):
    studies = {"fcn_linear_depth": 0.02, "fcn_relu_depth": 0.6, "cnn_depth": 1.5}
    for study, value in studies.items():
        for depth in (1, 4):
            run.add(study, depth, measure=lambda r, rho, p, ref, v=value: v)
    results = run.results()
    for name, base in zip(("fig33", "fig34", "fig35"), studies.values(), strict=True):
        figure = draw(name, results, STYLE)
        constant, identity = panels(figure)
        assert constant.get_title() == "MSE to the constant"
        assert identity.get_title() == "MSE to the identity"
        assert set(numbers(constant, "mean").values()) == {two_digits(base)}
        assert texts(figure, "row") == (["1", "4"] if name == "fig35" else ["0", "3"])
        limits = {axes.findobj(QuadMesh)[0].get_clim() for axes in panels(figure)}
        assert limits == {(MSE.lower, MSE.upper)}
        (note,) = texts(figure, "note")
        assert f"Colours span {MSE.lower:g} to {MSE.upper:g} on a log scale" in note
        printed(figure)


def test_numbers_fit_their_cells_at_paper_scale(run, printed):
    values = iter(np.random.default_rng(0).uniform(0, 0.9, 100_000))
    for depth in range(1, 19):
        run.add("cnn_depth", depth, ("converged",) * 5, measure=lambda *_: next(values))
    figure = draw("fig35", run.results(), STYLE)
    printed(figure)
    axes = panels(figure)[0]
    cell = axes.get_window_extent().width / 11
    assert max(text.get_window_extent().width for text in axes.texts if text.get_gid()) < cell
    assert figure.get_size_inches()[1] < 9


def test_a_fine_grid_of_rho_is_drawn_without_numbers(run, printed, texts):
    run.rho = tuple(np.linspace(0, 1, 41))
    run.add("cnn_depth", 1, measure=spread(0.5))
    figure = draw("fig04", run.results(), STYLE)
    assert panels(figure) == []
    assert "Too many values of ρ to print their numbers" in texts(figure, "note")[0]
    printed(figure)


def test_a_study_that_trains_on_several_images_is_refused(run):
    run.add("cnn_depth", 1, measure=spread(0.5), examples="7/39 3/0")
    with pytest.raises(FigureError, match=r"studies\.cnn_depth: no correlated probes"):
        draw("fig04", run.results(), STYLE)


def test_summary_against_brute_force(run):
    table = np.random.default_rng(3).normal(size=(2, 3, 11, 2, 2))
    for number, depth in enumerate((1, 5)):
        run.add(
            "cnn_depth",
            depth,
            measure=lambda r, rho, p, ref, n=number: table[
                n, r, round(10 * rho), p, int(ref == "identity")
            ],
        )
    results = run.results()
    networks = ladder(results, "cnn_depth")
    heat = summarize(results, networks, "identity", "correlation", 0.95)
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
        for form, digits in ((two_digits, 0.5), (one_digit, 0.5)):
            text = form(value)
            assert len(text) <= 4, value
            assert float(text) == pytest.approx(value, rel=digits), value


def test_fig25_has_a_row_per_filter_size(run, printed, texts):
    for kernel in (57, 5):
        run.add("cnn_kernel", 5, measure=spread(kernel / 100), kernel=float(kernel))
    figure = draw("fig25", run.results(), STYLE)
    assert texts(figure, "row") == ["5 × 5", "57 × 57"]
    constant = numbers(panels(figure)[0], "mean")
    assert (constant[0, 0], constant[1, 0]) == (".05", ".57")
    assert texts(figure, "note")[0].startswith("5 layers, 32 channels.")
    printed(figure)


@pytest.mark.parametrize(("depths", "shown"), [((20, 5), 5), ((7, 3), 3)])
def test_fig27_has_a_row_per_number_of_channels_at_5_layers(run, printed, texts, depths, shown):
    for depth in depths:
        for width in (128, 3):
            measure = spread((depth + width) / 1000)
            run.add("cnn_channels", depth, measure=measure, width=width)
    figure = draw("fig27", run.results(), STYLE)
    assert texts(figure, "row") == ["3", "128"]
    constant = numbers(panels(figure)[0], "mean")
    for row, width in enumerate((3, 128)):
        assert constant[row, 0] == f"{(shown + width) / 1000:.2f}"[1:]
    assert texts(figure, "note")[0].startswith(f"{shown} layers, 5 × 5 filters.")
    printed(figure)
