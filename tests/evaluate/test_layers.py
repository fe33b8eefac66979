"""Layer-wise analysis against brute force on small networks."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from idpipe import evaluate, nets
from idpipe.cells import Cell
from idpipe.evaluate import classifier
from idpipe.images import ProbeSet, Split, standardize

pytestmark = pytest.mark.numerical

SIZE = 6
DATA = {"size": SIZE, "mean": [0.5], "std": [0.3]}


def cnn(**settings) -> Cell:
    net = {"arch": "cnn", "depth": 4, "width": 5, "kernel": 3}
    return Cell.model_validate({"net": net, "data": DATA, "replicates": 2, **settings})


def split(counts: tuple[int, ...], seed: int, size: int = SIZE) -> Split:
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(len(counts)), counts))
    typical = np.random.default_rng(9).integers(0, 256, (len(counts), 1, size, size))
    noise = generator.integers(0, 256, (len(labels), 1, size, size))
    images = (0.3 * typical[labels] + 0.7 * noise).astype(np.uint8)
    return Split(images, labels.astype(np.int64))


def by_hand(params, replicate: int, image: torch.Tensor, first: int = 0, depth: int = 4):
    """Outputs [c, h, w] of each layer from `first` on, by plain convolutions."""
    found = []
    for layer in range(first, depth):
        weight, bias = params[f"weight.{layer}"][replicate], params[f"bias.{layer}"][replicate]
        image = F.conv2d(image[None], weight, bias, padding=1)[0]
        image = image.clamp(min=0) if layer < depth - 1 else image
        found.append(image)
    return found


# --- averaging classifier --------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [1, 7, 64])
def test_error_rates_are_those_of_all_pairs(monkeypatch, at_once):
    monkeypatch.setattr(classifier, "IMAGES_AT_ONCE", at_once)
    cell, train, test = cnn(), split((9, 4, 6), 0), split((5, 7, 3), 1)
    params = nets.initial_params(cell, [0, 1])
    found = evaluate.error_rates(cell, params, train, test)
    assert found.shape == (2, 5)
    for replicate in range(2):
        seen = [
            [[image, *by_hand(params, replicate, image)] for image in torch.tensor(pixels)]
            for pixels in (standardize(s.images, cell.data) for s in (train, test))
        ]
        for layer in range(5):
            wrong = 0
            for x, label in zip(seen[1], test.labels, strict=True):
                prediction = np.zeros(3)
                for other, its_label in zip(seen[0], train.labels, strict=True):
                    weight = (x[layer].double() * other[layer].double()).sum()
                    prediction += float(weight) * np.eye(3)[its_label]
                wrong += int(prediction.argmax() != label)
            assert found[replicate, layer] == pytest.approx(wrong / 15)
    assert len(np.unique(found)) > 2, "the case tells layers apart"


def test_images_are_scaled_to_the_cells_size():
    cell, train, test = cnn(), split((3, 3), 0, size=12), split((3, 3), 1, size=12)
    found = evaluate.error_rates(cell, nets.initial_params(cell, [0]), train, test)
    assert np.isfinite(found).all()


def test_a_diverged_replicate_has_no_error_rate():
    cell, train, test = cnn(), split((3, 3), 0), split((3, 3), 1)
    params = nets.initial_params(cell, [0, 1])
    whole = evaluate.error_rates(cell, params, train, test)
    params["weight.2"][1] = torch.nan
    found = evaluate.error_rates(cell, params, train, test)
    np.testing.assert_array_equal(found[0], whole[0])
    np.testing.assert_array_equal(np.isnan(found[1]), [False, False, False, True, True])


def test_fully_connected_layers_are_classified_too():
    cell = cnn(net={"arch": "fcn", "depth": 3, "width": 8})
    params = nets.initial_params(cell, [0, 1])
    found = evaluate.error_rates(cell, params, split((4, 4), 0), split((4, 4), 1))
    assert found.shape == (2, 4)
    assert ((found >= 0) & (found <= 1)).all()


def test_the_first_of_each_class_in_the_splits_order():
    whole = split((5, 2, 4), 3)
    few = evaluate.first_per_class(whole, 3)
    expected = [n for n, label in enumerate(whole.labels) if (whole.labels[:n] == label).sum() < 3]
    np.testing.assert_array_equal(few.labels, whole.labels[expected])
    np.testing.assert_array_equal(few.images, whole.images[expected])
    assert evaluate.first_per_class(whole, None) is whole
    assert evaluate.chance_error(whole) == pytest.approx(1 - 5 / 11)


# --- weights and upper parts -----------------------------------------------------------------


def test_distances_are_relative_and_leave_out_biases():
    cell = cnn()
    before = nets.initial_params(cell, [0, 1])
    after = {name: value.clone() for name, value in before.items()}
    after["weight.1"][1] *= 1.5
    after["weight.2"] += 0.25
    after["bias.3"] += 1
    found = evaluate.distances(after, before, 4)
    assert found.shape == (2, 4)
    np.testing.assert_allclose(found[:, [0, 3]], 0)
    np.testing.assert_allclose(found[:, 1], [0, 0.5], rtol=1e-6)
    for replicate in range(2):
        start = before["weight.2"][replicate].numpy().astype(float)
        expected = np.sqrt(start.size * 0.25**2) / np.sqrt((start**2).sum())
        assert found[replicate, 2] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("top", [1, 2, 3, 4])
def test_upper_layers_see_gray_images_in_every_channel(top):
    cell = cnn()
    params = nets.initial_params(cell, [0, 1])
    images = torch.randn(2, 3, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    found = list(evaluate.upper_layers(cell.net, params, images, top))
    assert len(found) == top
    for replicate, n in np.ndindex(2, 3):
        fed = images[replicate, n] if top == 4 else images[replicate, n].expand(5, -1, -1)
        expected = by_hand(params, replicate, fed, first=4 - top)
        ours = [output[replicate, n] for output in found]
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


# --- views -----------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3, 16, 40])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_top_singular_vector_is_numpys_with_a_sum_that_is_not_negative(channels, scale):
    generator = np.random.default_rng(channels)
    drawn = generator.normal(size=(2, 3, channels, 4, 5)) * scale
    found = evaluate.top_singular(torch.tensor(drawn)).numpy()
    for index in np.ndindex(2, 3):
        vector = np.linalg.svd(drawn[index].reshape(channels, 20))[2][0]
        vector = -vector if vector.sum() < 0 else vector
        np.testing.assert_allclose(found[index].ravel(), vector, atol=1e-8)


def test_after_a_relu_the_top_singular_vector_is_nowhere_negative():
    drawn = torch.rand(8, 6, 7, 7, generator=torch.Generator().manual_seed(0)) - 0.3
    assert evaluate.top_singular(drawn.clamp(min=0)).min() >= -1e-12


@pytest.mark.parametrize("channels", [2, 30])
def test_singular_vectors_of_dead_and_diverged_layers(channels):
    output = torch.rand(3, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    output[1] = 0
    output[2, 0, 0, 0] = torch.inf
    found = evaluate.top_singular(output)
    assert found[0].norm() == pytest.approx(1)
    assert (found[1] == 0).all()
    assert found[2].isnan().all()


def test_the_most_correlated_channel_is_numpys():
    generator = np.random.default_rng(0)
    output, image = generator.normal(size=(10, 6, 5, 5)), generator.normal(size=(10, 5, 5))
    output[3, 2] = -7 * image[3]
    output[4, 5] = 1e-3 * image[4] + 100
    output[5, :4] = 2.5
    found = evaluate.most_correlated(torch.tensor(output), torch.tensor(image)).numpy()
    for n in range(10):
        with np.errstate(invalid="ignore"):
            close = [np.corrcoef(channel.ravel(), image[n].ravel())[0, 1] for channel in output[n]]
        assert found[n] == np.nanargmax(close)
    assert found[3] != 2 and found[4] == 5 and found[5] >= 4
    chosen = evaluate.chosen_channel(torch.tensor(output), torch.tensor(found)).numpy()
    np.testing.assert_array_equal(chosen, output[np.arange(10), found])


def test_without_any_correlation_it_is_channel_0():
    output = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    image = torch.stack([torch.full((4, 4), 0.7), torch.rand(4, 4)])
    output[1] = 0
    assert evaluate.most_correlated(output, image).tolist() == [0, 0]


def test_a_picture_fills_its_range_and_flat_ones_are_0():
    views = torch.tensor([[[2.0, 4.0], [3.0, 2.5]], [[5.0, 5.0], [5.0, 5.000001]]])
    views = torch.cat([views, torch.zeros(1, 2, 2), torch.full((1, 2, 2), torch.nan)])
    found = evaluate.picture(views)
    torch.testing.assert_close(found[0], torch.tensor([[0, 1], [0.5, 0.25]]))
    assert (found[1:3] == 0).all()
    assert found[3].isnan().all()


# --- pictures of a cell ----------------------------------------------------------------------

NAMES = ("train0", "blend_train", "blend_unseen", "unseen0", "unseen1", "unseen2", "ood0")
PATTERNS = ("flat", "noise", "circle")
KINDS = ("train", "blend", "blend", *("unseen",) * 3, "out_of_domain", *("pattern",) * 3)


def probe_set(sets: int = 1) -> ProbeSet:
    generator = np.random.default_rng(0)

    def draw(size: int) -> np.ndarray:
        return generator.normal(size=(sets, 10, 1, size, size)).astype(np.float32)

    named = draw(SIZE)
    return ProbeSet(
        names=NAMES + PATTERNS,
        kinds=KINDS,
        named=named,
        resized={SIZE: named, 9: draw(9)},
        rho=np.array([0.0]),
        correlated=np.zeros((sets, 1, 1, 1, SIZE, SIZE), np.float32),
        train=named[:, :1],
        mean=np.array([0.1], np.float32),
        std=np.array([0.3], np.float32),
    )


def test_viewed_probes_are_some_of_each_kind_flat_ones_last():
    names = NAMES + PATTERNS
    assert [names[p] for p in evaluate.viewed(names, KINDS)] == [
        "train0", "blend_train", "unseen0", "unseen1", "ood0", "circle", "noise",
    ]  # fmt: skip
    few = evaluate.viewed(names, KINDS, evaluate.RESIZED)
    assert [names[p] for p in few] == ["train0", "unseen0", "ood0", "circle"]


@pytest.mark.parametrize("sets", [1, 2])
def test_pictures_are_of_the_probes_and_states_they_name(sets):
    cell, probes = cnn(), probe_set(sets)
    after, before = (nets.initial_params(cell, [1], restart) for restart in (1, 0))
    found = evaluate.pictures(cell, 1, after, before, probes, torch.device("cpu"))
    own = torch.tensor(probes.named[-1])
    shapes = {"trained_output": (7, 1, 6, 6), "trained_channel0": (3, 7, 6, 6)}
    shapes |= {"trained_singular_9": (3, 4, 9, 9), "trained_output_9": (4, 1, 9, 9)}
    shapes |= {"upper2_singular": (1, 10, 6, 6), "upper3_output": (10, 1, 6, 6)}
    assert {name: found[name].shape for name in shapes} == shapes
    assert not {"upper6_output", "trained_singular_6", "untrained_singular_9"} & set(found)
    for state, params in (("trained", after), ("untrained", before)):
        for column, place in enumerate(evaluate.viewed(probes.names, probes.kinds)):
            *hidden, output = by_hand(params, 0, own[place])
            np.testing.assert_allclose(found[f"{state}_output"][column], output, atol=1e-5)
            for layer, activation in enumerate(hidden):
                views = {"singular": evaluate.top_singular(activation), "channel0": activation[0]}
                for view, picture in views.items():
                    shown = found[f"{state}_{view}"][layer, column]
                    np.testing.assert_allclose(shown, evaluate.picture(picture), atol=2e-3)
    hidden, output = by_hand(after, 0, own[4].expand(5, -1, -1), first=2)
    np.testing.assert_allclose(found["upper2_output"][4], output, atol=1e-5)


def test_whether_layers_are_viewed_is_what_the_kind_of_net_says(monkeypatch):
    """As the figures that show them demand (`idpipe.figures.demands.convolutional`)."""
    cell = cnn(net={"arch": "cnn", "depth": 2, "width": 3})
    params = nets.initial_params(cell, [0])
    asked = (cell, 0, params, params, probe_set(), torch.device("cpu"))
    assert "trained_singular" in evaluate.pictures(*asked)
    monkeypatch.setattr(type(cell.net), "convolutional", False)
    assert evaluate.pictures(*asked) == {}


def test_fully_connected_networks_and_single_layers_have_no_hidden_views():
    cell = cnn(net={"arch": "fcn", "depth": 2, "width": 4})
    params = nets.initial_params(cell, [0])
    assert evaluate.pictures(cell, 0, params, params, probe_set(), torch.device("cpu")) == {}
    cell = cnn(net={"arch": "cnn", "depth": 1})
    params = nets.initial_params(cell, [0])
    found = evaluate.pictures(cell, 0, params, params, probe_set(), torch.device("cpu"))
    assert found["trained_singular"].shape == (0, 7, 6, 6)
    np.testing.assert_allclose(found["upper1_output"][[0, 1, 3, 4, 6, 9, 8]],
                               found["trained_output"], atol=1e-6)  # fmt: skip
