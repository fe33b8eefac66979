import numpy as np
import pytest

T2 = 4.302653
"""Student's 97.5 % point for 2 degrees of freedom."""


def add_net(run, depth, correlate=lambda *_: 0.5, statuses=("converged",) * 3, factor=1.0):
    """A CNN trained at 4 pixels; `correlate(replicate, size, reference)` is its correlation."""
    cell = run.add("cnn_depth", depth, statuses, outputs=lambda r: run.inputs(r) * factor, size=4)
    for replicate in range(len(statuses)):
        for size in (4, *run.sizes):
            for reference in ("constant", "identity"):
                for kind, shift in (("train", 0.4), ("unseen", 0.01), ("pattern", -0.01)):
                    value = shift + correlate(replicate, size, reference)
                    run.metric(cell, replicate, kind, reference, value, size=size)


def sides(drawn):
    """Pixels of a side, by row from the top."""
    return [{len(tile) for tile in row} for row in drawn.tiles()]


def test_fig06_shows_inputs_and_outputs_at_7_and_112(run):
    run.sizes = (2, 7, 112, 224)
    add_net(run, 1)
    add_net(run, 5, lambda r, size, ref: size / 400 + (ref == "identity") / 4, factor=0.5)
    add_net(run, 20)
    drawn = run.draw("fig06")
    assert sides(drawn) == [{7}, {7}, {112}, {112}]
    # Probe 8 is flat at 0.4; the further sizes are darker by a hundredth per pixel.
    assert drawn.grays()[:2, 8] == pytest.approx([0.4 - 0.07, 0.2 - 0.07], abs=1e-6)
    labels = ["7 × 7", "output\n.27 ± .00", "112 × 112", "output\n.53 ± .00"]
    assert drawn.texts("row") == labels
    assert "5 layers, 5 × 5 filters, 32 channels. Trained on one 4 × 4 image: digits." in drawn.note
    assert "correlation of the outputs to their inputs" in drawn.note


def test_fig06_falls_back_on_the_smallest_and_the_largest_size(run):
    run.sizes = (3, 9, 14)
    for depth in (3, 6):
        add_net(run, depth)
    drawn = run.draw("fig06")
    assert sides(drawn) == [{3}, {3}, {14}, {14}]
    assert "6 layers (the paper's figure: 5)" in drawn.note


def test_fig20_shows_the_sizes_between(run):
    run.sizes = (2, 7, 14)
    add_net(run, 5)
    drawn = run.draw("fig20")
    assert sides(drawn) == [{4}, {4}, {7}, {7}]
    names = [label.split("\n")[0] for label in drawn.texts("row")]
    assert names == ["4 × 4", "output", "7 × 7", "output"]


def test_fig07_has_a_row_per_size_of_the_deepest_net_and_its_closeness_to_the_constant(run):
    run.sizes = (2, 7)

    def correlate(replicate, size, reference):
        return size / 10 + 0.1 * (replicate - 1) + (reference == "identity")

    add_net(run, 5)
    add_net(run, 20, correlate, factor=0.5)
    drawn = run.draw("fig07")
    assert sides(drawn) == [{2}, {4}, {7}]
    half = f"{T2 * 0.1 / np.sqrt(3):.2f}"[1:]
    assert drawn.texts("row") == [f"{s}\n.{s}0 ± {half}" for s in (2, 4, 7)]
    assert drawn.grays()[1, 8] == pytest.approx(0.2, abs=1e-6)
    assert "to the training image, resized" in drawn.note


def test_dead_replicates_are_in_no_number_and_marked_where_shown(run):
    run.sizes = (7,)
    add_net(run, 20, lambda r, s, ref: [0.2, 0.3, 0.9][r], ("converged", "max_steps", "dead"))
    drawn = run.draw("fig07", replicate=2)
    assert drawn.texts("mark") == ["dead", "dead"]
    assert all(label.split("\n")[1].startswith(".25 ± ") for label in drawn.texts("row"))
    assert "(2 of 3; none that is dead or diverged)" in drawn.note


def test_no_live_replicate_leaves_a_dash_and_crosses(run):
    run.sizes = (7,)
    add_net(run, 20, lambda *_: np.nan, ("diverged",) * 2, factor=np.nan)
    drawn = run.draw("fig07")
    assert drawn.texts("row") == ["4\n–", "7\n–"]
    assert "Crossed: the output is not finite." in drawn.note


@pytest.mark.parametrize("name", ["fig06", "fig07", "fig20"])
def test_a_run_without_other_sizes_is_refused_by_the_key(run, name):
    add_net(run, 5)
    run.refuses(name, r"probes\.sizes: ")
