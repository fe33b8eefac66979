import numpy as np
import pytest

KINDS = ("train", "train", "train", "blend", "unseen", "unseen", "out_of_domain", "pattern")


def line_stands_behind(drawn, count):
    """Whether the line that ends the training images does so."""
    (line,) = drawn.artists("training")
    rights = sorted({image.get_extent()[1] for image in drawn.axes[0].images})
    return all(rights[count - 1] < x < rights[count] for x in line.get_xdata())


@pytest.fixture
def several(run):
    """Probes that start with three training images."""
    run.kinds = KINDS
    run.inputs = lambda r: np.stack([np.full((1, 4, 4), (j + 1) / 20) for j in range(len(KINDS))])
    return run


def trained(run, nets, study="all_examples", examples="all", **columns):
    """Networks `(arch, depth, activation)`; row j of the study is the inputs over j + 2."""
    for number, (arch, depth, activation) in enumerate(nets, 2):
        columns |= {"arch": arch, "activation": activation, "examples": examples}
        run.add(study, depth, ("max_steps",), run.times(1 / number), **columns)


def test_fig01_shows_the_papers_three_networks(several):
    nets = [("fcn", 1, "relu"), ("fcn", 10, "relu"), ("fcn", 10, "linear"), ("cnn", 20, "relu")]
    trained(several, nets)
    drawn = several.draw("fig01")
    assert drawn.texts("row") == ["input", "CNN 20", "FCN 10", "FCN 1"]
    assert drawn.grays()[:, 7] == pytest.approx([0.4, 0.4 / 5, 0.4 / 3, 0.4 / 2], abs=1e-6)
    assert drawn.texts("mark") == ["not converged"] * 3
    assert line_stands_behind(drawn, 3)
    setting = "FCN: 32 hidden units; CNN: 5 × 5 filters, 32 channels"
    assert f"{setting}; trained on all 1,437" in drawn.note
    assert "not in this study" not in drawn.note


def test_fig01_shows_the_deepest_where_it_lacks_the_papers(several):
    nets = [("fcn", 2, "relu"), ("fcn", 4, "relu"), ("fcn", 6, "linear"), ("cnn", 3, "relu")]
    trained(several, nets)
    drawn = several.draw("fig01")
    assert drawn.texts("row") == ["input", "CNN 3", "FCN 4"]
    assert "not in this study: CNN 20, FCN 10, FCN 1 layers." in drawn.note


def test_fig40_orders_networks_by_kind_and_depth(several):
    nets = [("cnn", 5, "relu"), ("fcn", 4, "linear"), ("fcn", 10, "relu"), ("fcn", 1, "linear"),
            ("cnn", 3, "relu"), ("fcn", 2, "linear")]  # fmt: skip
    trained(several, nets)
    drawn = several.draw("fig40")
    assert drawn.texts("row") == ["input", "H0", "H9", "LinH1", "LinH3", "C3", "C5"]
    expected = [0.4, *(0.4 / (number + 2) for number in (3, 2, 5, 1, 4, 0))]
    assert drawn.grays()[:, 7] == pytest.approx(expected, abs=1e-6)
    absent = "H1, H3, H5, H7, LinH5, LinH7, LinH9, C10, C14, C20, C24"
    assert f"not in this study: {absent}." in drawn.note


@pytest.mark.parametrize(("name", "count"), [("fig38", 2), ("fig39", 3)])
def test_few_examples_are_told_apart_by_their_number(run, name, count):
    nets = [("cnn", 5, "relu"), ("fcn", 1, "relu")]
    for number, examples in ((2, "7/39 4/0"), (3, "7/39 4/0 0/0")):
        run.kinds = ("train",) * number + KINDS[3:]
        run.inputs = lambda r, n=number: np.full((n + 5, 1, 4, 4), n / 10)
        trained(run, nets, "few_examples", examples, probe_set=f"{number}" * 12)
    drawn = run.draw(name)
    assert drawn.texts("row") == ["input", "H0", "C5"]
    shade = count / 10
    assert drawn.grays()[:, 0] == pytest.approx([shade, shade / 3, shade / 2], abs=1e-6)
    assert line_stands_behind(drawn, count)


def test_few_examples_of_no_such_number_are_refused(run):
    trained(run, [("cnn", 5, "relu")], "few_examples", "7/39 4/0")
    run.refuses("fig39", r"studies\.few_examples\.axes\.data\.examples: no value")


@pytest.mark.parametrize(("name", "what"), [("fig42", "dog"), ("fig43", "airplane")])
def test_colour_figures_take_one_training_image_each(run, name, what):
    tints = {"dog": (1.0, 0.5, 0.25), "airplane": (0.2, 0.4, 0.8)}
    for examples, key in (("5/0", "dog"), ("0/0", "airplane")):
        tint = np.array(tints[key])[:, None, None]
        run.inputs = lambda r, tint=tint: np.full((15, 3, 4, 4), 0.8) * tint
        columns = {"source": "cifar10", "examples": examples, "probe_set": key[:1] * 12}
        for arch, depth in (("fcn", 10), ("cnn", 5)):
            run.add("colour", depth, outputs=run.times(1), arch=arch, **columns)
    drawn = run.draw(name)
    assert drawn.texts("row") == ["input", "H9", "C5"]
    for image in drawn.axes[0].images:
        expected = np.multiply(0.8, tints[what])
        np.testing.assert_allclose(image.get_array()[0, 0], expected, atol=1e-6)
    assert f"training image: {what}." in drawn.note


def test_fig43_without_a_second_image_is_refused(run):
    run.add("colour", 5, outputs=run.times(1), arch="cnn")
    run.refuses("fig43", r"studies\.colour\.axes\.data\.examples: 1 training")
