import numpy as np
import pytest
from figures import trained

from idpipe.errors import FigureError
from idpipe.results import displayed, ladder, ladders, networks, setting


def test_displayed_undoes_the_standardization_per_channel_and_clips():
    pixels = np.array([[0.0, 0.4], [0.6, 1.0]])
    plain = np.stack([pixels, pixels / 2])[None]
    mean, std = np.array([0.1, 0.7]), np.array([0.3, 2.0])
    standardized = (plain - mean[:, None, None]) / std[:, None, None]
    shown = displayed(standardized.astype(np.float32), mean, std)
    assert shown.shape == (1, 2, 2, 2)
    np.testing.assert_allclose(shown[0, ..., 0], pixels, atol=1e-6)
    np.testing.assert_allclose(shown[0, ..., 1], pixels / 2, atol=1e-6)
    assert displayed(standardized + 100, mean, std).max() == 1
    assert displayed(standardized - 100, mean, std).min() == 0


def test_displayed_keeps_what_is_not_finite_visible():
    images = np.array([np.nan, np.inf, -np.inf, 3e38], np.float32).reshape(4, 1, 1, 1)
    shown = displayed(images, np.array([0.5]), np.array([9.0]))
    assert np.isnan(shown[:3]).all()
    assert shown[3] == 1


def test_study_is_in_grid_order_with_a_row_per_replicate(run):
    for depth in (5, 1, 3):
        run.add("cnn_depth", depth)
    run.add("other", 7)
    rows = run.results().study("cnn_depth")
    assert list(rows["depth"]) == [5, 5, 5, 1, 1, 1, 3, 3, 3]
    assert list(rows["replicate"]) == [0, 1, 2] * 3


def test_metrics_join_the_cells_columns_and_keep_the_probes_apart(run):
    statuses = ("converged", "dead")
    run.add("cnn_depth", 3, statuses, measure=lambda r, rho, p, ref: r + rho, size=14)
    results = run.results()
    rows = results.metrics(results.study("cnn_depth"))
    assert len(rows) == 2 * 11 * 2 * 2
    assert set(rows.query("replicate == 1")["status"]) == {"dead"}
    assert set(rows["mse_train"]) == {1e-4}
    assert set(rows["size"]) == {28} and set(rows["size_train"]) == {14}
    np.testing.assert_allclose(rows["mse"], rows["replicate"] + rows["rho"])


def test_holes_are_refused_by_name(run):
    first = run.add("cnn_depth", 3, measure=lambda *_: 0.5)
    second = run.add("cnn_depth", 5)
    run.studies.append({"study": "cnn_depth", "cell_id": "lost-cell"})
    results = run.results()
    with pytest.raises(FigureError, match=r"studies\.cnn_depth: no results of lost-cell"):
        results.study("cnn_depth")
    with pytest.raises(FigureError, match=r"studies\.nothing: the run has no such study"):
        results.study("nothing")
    with pytest.raises(FigureError, match="the run has no table 'layers'"):
        results.table("layers")
    run.studies.pop()
    results = run.results()
    with pytest.raises(FigureError, match=f"no metrics of {second}") as caught:
        results.metrics(results.study("cnn_depth"))
    assert first not in str(caught.value)


def test_images_of_a_replicate_at_every_size_that_was_drawn(run):
    run.sizes = (9, 2)
    cell = run.add("cnn_depth", 3, outputs=lambda r: run.inputs(r) / (r + 1))
    bare = run.add("cnn_depth", 5)
    results = run.results()
    probes = results.inputs(cell, 2)
    assert probes.names[:2] == ("probe 0", "probe 1")
    assert probes.kinds == run.kinds
    np.testing.assert_allclose(probes.images[4], 0.2, atol=1e-6)
    np.testing.assert_allclose(results.outputs(cell, 1)[4], 0.1, atol=1e-6)
    assert results.sizes(cell) == (2, 4, 9)
    for size, darker in ((2, 0.02), (4, 0), (9, 0.09)):
        shown = results.inputs(cell, 0, size).images
        assert shown.shape == (15, size, size, 1)
        np.testing.assert_allclose(shown[8], 0.4 - darker, atol=1e-6)
        np.testing.assert_allclose(results.outputs(cell, 1, size)[8], 0.2 - darker, atol=1e-6)
    with pytest.raises(FigureError, match=r"figures\.replicate = 3: .* replicates 0 to 2"):
        results.outputs(cell, 3)
    with pytest.raises(FigureError, match=f"{bare}: the figure was given no probe file"):
        results.inputs(bare, 0)


def test_replicates_that_train_on_their_own_image_have_their_own_inputs(run):
    run.vary = True
    run.inputs = lambda r: np.full((15, 1, 4, 4), r / 4)
    cell = run.add("cnn_depth", 3, outputs=run.inputs)
    for replicate in range(3):
        shown = run.results().inputs(cell, replicate).images
        np.testing.assert_allclose(shown, replicate / 4, atol=1e-6)
    with pytest.raises(FigureError, match=r"figures\.replicate = 3: .* replicates 0 to 2"):
        run.results().inputs(cell, 3)


def test_a_ladder_takes_the_largest_width_and_says_so(run):
    for width in (784, 2048):
        for depth in (4, 1, 2):
            run.add("fcn_relu_depth", depth, width=width)
    networks = ladder(run.results(), "fcn_relu_depth")
    assert [rung.value for rung in networks.rungs] == [1, 2, 4]
    assert all("w2048" in rung.cell_id for rung in networks.rungs)
    assert networks.setting == "2048 hidden units (the largest of 784, 2048)"


def test_a_ladder_over_another_axis(run):
    for width in (128, 3):
        run.add("cnn_channels", 5, width=width)
    networks = ladder(run.results(), "cnn_channels", "width")
    assert [rung.value for rung in networks.rungs] == [3, 128]
    assert networks.setting == "5 layers, 5 × 5 filters"


def test_a_ladder_with_two_cells_for_a_value_is_refused(run):
    run.add("cnn_depth", 5, kernel=5.0)
    run.add("cnn_depth", 5, kernel=7.0)
    with pytest.raises(FigureError, match=r"studies\.cnn_depth: depth 5 has 2 cells"):
        ladder(run.results(), "cnn_depth")


def test_networks_are_in_grid_order_with_their_columns(run):
    for depth, optimizer in ((5, "sgd"), (1, "adam"), (5, "adam")):
        run.add("cnn_optimizer", depth, optimizer=optimizer)
    rungs = networks(run.results(), "cnn_optimizer")
    found = [(rung.value, rung["optimizer"]) for rung in rungs]
    assert found == [(5, "sgd"), (1, "adam"), (5, "adam")]
    assert [rung.total for rung in rungs] == [3, 3, 3]
    assert [rung.value for rung in networks(run.results(), "cnn_optimizer", "lr")] == [0.01] * 3


def test_ladders_per_value_of_other_columns_or_of_one(run):
    settings = [("sgd", 0.01), ("sgd", 0.001), ("adam", 0.001)]
    for optimizer, lr in settings:
        for depth in (5, 3):
            run.add("cnn_optimizer", depth, optimizer=optimizer, lr=lr)
    found = ladders(run.results(), "cnn_optimizer", "depth", "optimizer", "lr")
    assert list(found) == settings
    for setting_found, networks_found in found.items():
        assert [rung.value for rung in networks_found.rungs] == [3, 5]
        of_rungs = {(rung["optimizer"], rung["lr"]) for rung in networks_found.rungs}
        assert of_rungs == {setting_found}
    for size in (14, 28):
        run.add("cnn_image_size", 5, size=size)
    found = ladders(run.results(), "cnn_image_size", "depth", "size")
    for size in (14, 28):
        (rung,) = found[size].rungs
        assert set(rung.replicates["size"]) == {size}


def test_a_setting_names_what_each_architecture_shares(run):
    for arch, depth, width in (("fcn", 1, 5), ("fcn", 4, 64), ("cnn", 5, 24), ("cnn", 5, 8)):
        run.add("few", depth, arch=arch, width=width)
    rungs = networks(run.results(), "few")
    told = "FCN: 64 hidden units; CNN: 5 × 5 filters, 8 to 24 channels"
    assert setting(rungs, ("depth",)) == told
    assert setting(rungs[2:], ("width",)) == "5 layers, 5 × 5 filters"
    assert setting(rungs[:2], ("depth", "width")) == ""


def test_standardized_images_are_as_the_network_saw_them(run):
    run.inputs = lambda r: np.linspace(-1, 2, 15 * 16).reshape(15, 1, 4, 4)
    cell = run.add("cnn_depth", 3, outputs=run.inputs)
    results = run.results()
    mean, std = results.scale(cell)
    standardized = results.standardized(cell, 0)
    assert standardized.dtype == np.float64
    np.testing.assert_allclose(standardized * std + mean, run.inputs(0), atol=1e-6)


def test_weights_before_and_after_training(run):
    cell = trained.one_layer({"arch": "cnn", "kernel": 3})
    after = np.random.default_rng(0).normal(size=(3, 1, 1, 3, 3))
    trained.add(run, "theorem2", cell, lambda r: after[r])
    results = run.results()
    assert results.cell(cell.cell_id) == cell
    np.testing.assert_array_equal(results.weights(cell.cell_id)["weight.0"], after)
    for replicate, restart in ((0, 0), (2, 1)):
        before = results.initial_weights(cell.cell_id, replicate, restart)
        np.testing.assert_array_equal(before["weight.0"], trained.start(cell, replicate, restart))
    (run.folder / "cells" / cell.cell_id / "weights.safetensors").write_bytes(b"cut off")
    with pytest.raises(FigureError, match=r"weights\.safetensors: cannot be read"):
        results.weights(cell.cell_id)
