"""Probes are the paper's: right images, exact correlations, one picture at any size."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from idpipe.cells import DataSpec, Example, derived_seed
from idpipe.config import DataConfig, PatternName, ProbeSpec, folder_digest, probe_hash
from idpipe.errors import DataError
from idpipe.images import (
    PATTERNS,
    ProbeSet,
    build,
    correlated,
    load_split,
    prepare,
    standardize,
    training_images,
    unstandardize,
)

pytestmark = pytest.mark.numerical

SEVEN = DataSpec(examples=(Example(label=7),))
FEW = ProbeSpec(rho=(0.0, 0.5, 1.0), n_per_rho=2)


def sought(image: np.ndarray, among: np.ndarray) -> int:
    """The one position of an image among others."""
    found = np.flatnonzero(np.isclose(among, image, atol=1e-5).all(axis=(1, 2, 3)))
    assert len(found) == 1
    return int(found[0])


# --- correlated probes (Sec. 3.2) ------------------------------------------------------------

images = st.builds(
    lambda seed, channels, size, scale, shift: (
        np.random.default_rng(seed).normal(size=(channels, size, size)) * scale + shift
    ).astype(np.float32),
    seed=st.integers(0, 2**32 - 1),
    channels=st.sampled_from([1, 3]),
    size=st.integers(2, 32),
    scale=st.floats(0.05, 20),
    shift=st.floats(-3, 3),
)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    left, right = a.ravel().tolist(), b.ravel().tolist()
    dot = math.fsum(x * y for x, y in zip(left, right, strict=True))
    return dot / math.sqrt(math.fsum(x * x for x in left) * math.fsum(y * y for y in right))


def norm(a: np.ndarray) -> float:
    return math.sqrt(math.fsum(x * x for x in a.ravel().tolist()))


any_image_and_rho = given(
    image=images,
    rho=st.floats(0, 1),
    seed=st.integers(0, 2**63 - 1),
    noise=st.sampled_from(["normal", "uniform"]),
)


@any_image_and_rho
def test_cosine_and_norm_are_exact(image, rho, seed, noise):
    for probe in correlated(image, rho, 2, seed, noise, "cosine"):
        assert probe.shape == image.shape and probe.dtype == np.float32
        assert cosine(probe, image) == pytest.approx(rho, abs=1e-6)
        assert norm(probe) == pytest.approx(norm(image), rel=1e-6)


@any_image_and_rho
def test_pearson_mean_and_norm_are_exact(image, rho, seed, noise):
    wide = image.astype(np.float64)
    assume(wide.std() > 0.05 * np.abs(wide).max())
    for probe in correlated(image, rho, 2, seed, noise, "pearson"):
        found = np.corrcoef(probe.ravel().astype(np.float64), wide.ravel())[0, 1]
        assert found == pytest.approx(rho, abs=1e-6)
        assert probe.astype(np.float64).mean() == pytest.approx(wide.mean(), abs=1e-6 * norm(image))
        assert norm(probe) == pytest.approx(norm(image), rel=1e-6)


@pytest.mark.parametrize("correlation", ["cosine", "pearson"])
@pytest.mark.parametrize("source", ["digits", "mnist", "photos"])
def test_real_images_keep_the_promise_over_the_whole_grid(source, correlation, request):
    folder = request.getfixturevalue(source)
    image = training_images(DataSpec.model_validate({"source": source}), folder, 1)[0, 0]
    for rho in np.arange(11) / 10:
        for probe in correlated(image, rho, 3, 5, "normal", correlation):
            pair = np.stack([probe.ravel(), image.ravel()]).astype(np.float64)
            found = np.corrcoef(pair)[0, 1] if correlation == "pearson" else cosine(*pair)
            assert abs(found - rho) < 1e-6
            assert abs(norm(probe) / norm(image) - 1) < 1e-6


def test_it_is_the_construction_of_the_paper():
    """(1) random pixels z, (2) add alpha x with correlation rho, (3) renormalize."""
    generator = np.random.default_rng(0)
    image = generator.normal(size=(1, 9, 9)).astype(np.float32)
    probe = correlated(image, 0.6, 1, seed=3)[0].astype(np.float64).ravel()
    x = image.astype(np.float64).ravel()
    z = np.random.default_rng(derived_seed(3, "correlated", 0.6, 0)).standard_normal(81)
    # alpha solves <z + alpha x, x> = rho |z + alpha x| |x|.
    zx, zz, xx, square = z @ x, z @ z, x @ x, 0.6**2
    roots = np.roots([xx * xx * (1 - square), 2 * zx * xx * (1 - square), zx**2 - square * zz * xx])
    mixes = [z + alpha * x for alpha in roots]
    mixed = next(m for m in mixes if m @ x > 0)
    expected = mixed * np.linalg.norm(x) / np.linalg.norm(mixed)
    np.testing.assert_allclose(probe, expected, atol=1e-5)


@pytest.mark.parametrize("correlation", ["cosine", "pearson"])
def test_rho_one_is_the_image_itself(correlation):
    image = np.random.default_rng(1).normal(size=(3, 8, 8)).astype(np.float32)
    for probe in correlated(image, 1.0, 3, 0, "normal", correlation):
        np.testing.assert_array_equal(probe, image)


def test_a_probe_depends_on_seed_rho_and_number_alone():
    image = np.random.default_rng(1).normal(size=(1, 8, 8)).astype(np.float32)
    many = correlated(image, 0.3, 5, seed=2)
    np.testing.assert_array_equal(correlated(image, 0.3, 2, seed=2), many[:2])
    across = [
        (probe - rho * image).ravel()
        for rho in (0.3, 0.4)
        for seed in (2, 3)
        for probe in correlated(image, rho, 3, seed)
    ]
    # No two share their noise: not over the number, not over rho, not over the seed.
    closeness = np.corrcoef(across) - np.eye(len(across))
    assert np.abs(closeness).max() < 0.6


def test_the_noise_has_the_distribution_asked_for():
    image = np.random.default_rng(1).normal(size=(1, 40, 40)).astype(np.float32)
    peaks = {}
    for noise in ("normal", "uniform"):
        pixels = correlated(image, 0.0, 20, 0, noise).ravel()
        assert abs(pixels.mean()) < 0.02
        peaks[noise] = np.abs(pixels).max() / pixels.std()
    assert peaks["normal"] > 3.5 and peaks["uniform"] < 2.0


@pytest.mark.parametrize(
    ("level", "correlation"), [(0.0, "cosine"), (0.0, "pearson"), (2, "pearson")]
)
def test_an_image_without_direction_is_refused(level, correlation):
    flat = np.full((1, 28, 28), level, np.float32)
    with pytest.raises(DataError, match=rf"data\.examples: .*probes\.correlation = {correlation}"):
        correlated(flat, 0.5, 1, 0, "normal", correlation)


def test_a_flat_image_that_is_not_zero_has_a_cosine():
    flat = np.full((1, 28, 28), -0.42, np.float32)
    assert cosine(correlated(flat, 0.5, 1, 0)[0], flat) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize(("pixels", "correlation"), [(1, "cosine"), (2, "pearson")])
def test_too_few_pixels_are_refused(pixels, correlation):
    image = np.arange(1, pixels + 1, dtype=np.float32).reshape(1, 1, pixels)
    with pytest.raises(DataError, match=r"data\.size: .*too small"):
        correlated(image, 0.5, 1, 0, "normal", correlation)
    np.testing.assert_array_equal(correlated(image, 1.0, 1, 0, "normal", correlation)[0], image)


# --- named probes ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(digits: Path, photos: Path) -> ProbeSet:
    return build(SEVEN, FEW, 3, digits, photos)


def test_named_probes_come_in_the_papers_order(built):
    assert built.names == (
        *("train0", "blend_train", "blend_unseen"),
        *("unseen0", "unseen1", "unseen2", "ood0", "ood1", "ood2"),
        *("flat", "gradient", "checkerboard", "stripes", "circle", "noise"),
    )
    kinds = ["train", *["blend"] * 2, *["unseen"] * 3, *["out_of_domain"] * 3, *["pattern"] * 6]
    assert list(built.kinds) == kinds
    assert built.named.shape == (1, 15, 1, 28, 28) and built.named.dtype == np.float32
    assert built.correlated.shape == (1, 3, 2, 1, 28, 28) and built.correlated.dtype == np.float32
    assert list(built.rho) == [0, 0.5, 1] and built.rho.dtype == np.float64


def named(probes: ProbeSet, name: str, t: int = 0) -> np.ndarray:
    return np.asarray(probes.named[t, probes.names.index(name)])


def test_the_training_image_is_the_cells(built, digits):
    np.testing.assert_array_equal(built.train, training_images(SEVEN, digits, 3))
    np.testing.assert_array_equal(named(built, "train0"), built.train[0, 0])
    np.testing.assert_array_equal(built.correlated[0, 2], built.train[0, [0, 0]])


def test_unseen_images_are_test_images_of_different_other_classes(built, digits):
    test = load_split(digits, "test")
    pixels = standardize(test.images, SEVEN)
    labels = [test.labels[sought(named(built, f"unseen{n}"), pixels)] for n in range(3)]
    assert len({7, *labels}) == 4


def test_blends_mix_the_training_image_and_unseen_ones(digits, photos):
    built = build(SEVEN, ProbeSpec(blend=0.25), 1, digits, photos)
    test = load_split(digits, "test")
    pixels = standardize(test.images, SEVEN)
    other = (named(built, "blend_train") - 0.25 * built.train[0, 0]) / 0.75
    assert test.labels[sought(other, pixels)] != 7
    pairs = []
    for place, first in enumerate(pixels):
        second = (named(built, "blend_unseen") - 0.25 * first) / 0.75
        near = np.isclose(pixels, second, atol=1e-4).all(axis=(1, 2, 3))
        pairs += [(place, other) for other in np.flatnonzero(near)]
    assert len(pairs) == 1
    assert len({7, *test.labels[list(pairs[0])]}) == 3


def test_out_of_domain_images_are_the_other_sources_in_gray(built, photos):
    shown = unstandardize(np.stack([named(built, f"ood{n}") for n in range(3)]), SEVEN)
    gray = []
    for image in load_split(photos, "test").images:
        luma = np.tensordot([0.299, 0.587, 0.114], image / 255, 1).astype(np.float32)
        gray.append(np.asarray(Image.fromarray(luma).resize((28, 28), Image.Resampling.BILINEAR)))
    labels = load_split(photos, "test").labels
    places = [sought(image[None], np.stack(gray)[:, None]) for image in shown[:, 0]]
    assert len(set(places)) == 3 and {labels[place] for place in places} == {0, 1}


def test_gray_images_are_repeated_for_colour(digits, photos):
    spec = DataSpec(source="photos")
    shown = build(spec, FEW, 1, photos, digits)
    for name in ("ood0", "checkerboard"):
        colours = unstandardize(named(shown, name), spec)
        np.testing.assert_allclose(colours, colours[[0, 0, 0]], atol=1e-6)
    gray = unstandardize(named(shown, "gradient"), spec)
    np.testing.assert_allclose(gray[1], PATTERNS["gradient"](32), atol=1e-6)


def test_patterns_are_standardized_like_everything(built):
    shown = named(built, "circle")[0] * 0.3081 + 0.1307
    np.testing.assert_allclose(shown, PATTERNS["circle"](28), atol=1e-6)


def test_resized_probes_show_the_same_things(digits, photos, built):
    probes = ProbeSpec(sizes=(7, 112), rho=FEW.rho, n_per_rho=2)
    resized = build(SEVEN, probes, 3, digits, photos)
    np.testing.assert_array_equal(resized.named, built.named)
    assert set(resized.resized) == {7, 112}
    for size, shown in resized.resized.items():
        assert shown.shape == (1, 15, 1, size, size)
        drawn = shown[0, resized.names.index("checkerboard"), 0] * 0.3081 + 0.1307
        np.testing.assert_allclose(drawn, PATTERNS["checkerboard"](size), atol=1e-6)
    for place in range(9):
        large, small = resized.resized[112][0, place, 0], resized.named[0, place, 0]
        shrunk = large.reshape(28, 4, 28, 4).mean(axis=(1, 3))
        assert np.corrcoef(shrunk.ravel(), small.ravel())[0, 1] > 0.95


def test_a_small_cell_sees_the_probes_at_its_size(digits, photos):
    spec = SEVEN.model_copy(update={"size": 7})
    small = build(spec, ProbeSpec(sizes=(28,)), 1, digits, photos)
    assert small.named.shape[-2:] == (7, 7) and small.train.shape == (1, 1, 1, 7, 7)
    # Enlarged probes are drawn from the source's own pixels, not from the shrunken ones.
    large = build(SEVEN, ProbeSpec(), 1, digits, photos)
    np.testing.assert_allclose(small.resized[28], large.named, atol=1e-6)


OTHER_SETTINGS = [
    *[{"unseen": 5}, {"unseen": 1}, {"out_of_domain": 1}, {"patterns": ("flat",)}],
    *[{"rho": (0.5, 0.9)}, {"n_per_rho": 3}, {"sizes": (14,)}],
    {"correlation": "cosine", "noise": "uniform"},
]


@pytest.mark.parametrize("settings", OTHER_SETTINGS)
def test_other_settings_leave_the_picks_alone(settings, built, digits, photos):
    other = build(SEVEN, FEW.model_copy(update=settings), 3, digits, photos)
    for name in set(other.names) & set(built.names):
        np.testing.assert_array_equal(named(other, name), named(built, name))
    if "noise" not in settings:
        np.testing.assert_array_equal(
            other.correlated[:, list(other.rho).index(0.5), :2], built.correlated[:, 1]
        )


def test_another_seed_picks_other_images(built, digits, photos):
    other = build(SEVEN, FEW.model_copy(update={"seed": 1}), 3, digits, photos)
    same = [n for n in built.names if np.array_equal(named(other, n), named(built, n))]
    assert set(same) <= {"train0", *get_args(PatternName), "ood0", "ood1", "ood2"}
    assert not np.allclose(other.correlated[0, 0], built.correlated[0, 0])


@pytest.mark.parametrize("seed", range(4))
def test_images_follow_from_seed_role_and_number_alone(seed, digits):
    """Stored evaluations stay right: each is the first fit of a permutation of the test images."""
    probes = ProbeSpec(seed=seed, rho=(1.0,), patterns=(), blend=0.25)
    shown, test = build(SEVEN, probes, 1, digits, digits), load_split(digits, "test")
    pixels = (test.images / 255 - 0.1307) / 0.3081

    def first(role: str, number: int = 0, shunned: tuple[int, ...] = (7,)) -> int:
        order = np.random.default_rng(derived_seed(seed, role, number)).permutation(len(pixels))
        return next(int(place) for place in order if test.labels[place] not in shunned)

    one = first("blend_unseen")
    two = first("blend_unseen", 1, (7, int(test.labels[one])))
    train = shown.train[0, 0]
    expected = {
        "blend_train": 0.25 * train + 0.75 * pixels[first("blend_train")],
        "blend_unseen": 0.25 * pixels[one] + 0.75 * pixels[two],
        "unseen0": pixels[first("test")],
        "ood0": pixels[first("out_of_domain", shunned=())],
    }
    for name, image in expected.items():
        np.testing.assert_allclose(named(shown, name), image, atol=1e-5, err_msg=name)
    assert shown.named.dtype == np.float32


def test_classes_that_were_not_trained_on_take_turns(digits):
    probes = ProbeSpec(unseen=25, out_of_domain=0, patterns=(), rho=(1.0,))
    shown, test = build(SEVEN, probes, 1, digits, digits), load_split(digits, "test")
    pixels = standardize(test.images, SEVEN)
    places = [sought(named(shown, f"unseen{n}"), pixels) for n in range(25)]
    counts = np.bincount(test.labels[places], minlength=10)
    assert counts[7] == 0 and set(np.delete(counts, 7)) == {2, 3}


def test_a_probe_set_says_how_its_pixels_were_scaled(photos, digits):
    spec = DataSpec(source="photos")
    shown, train = build(spec, FEW, 1, photos, digits), load_split(photos, "train")
    raw = shown.train[0, 0] * shown.std[:, None, None] + shown.mean[:, None, None]
    np.testing.assert_allclose(raw, train.images[0] / 255, atol=1e-6)
    assert shown.std.dtype == shown.mean.dtype == np.float32


def test_varying_replicates_each_have_their_own_training_image(built, digits, photos):
    spec = DataSpec(examples=SEVEN.examples, vary=True)
    varied = build(spec, FEW, 3, digits, photos)
    assert varied.named.shape[0] == varied.train.shape[0] == varied.correlated.shape[0] == 3
    np.testing.assert_array_equal(varied.train, training_images(spec, digits, 3))
    np.testing.assert_array_equal(varied.named[:1], built.named)
    other = built.named[0, 1] - 0.5 * built.train[0, 0]
    for t in range(3):
        np.testing.assert_array_equal(named(varied, "train0", t), varied.train[t, 0])
        np.testing.assert_array_equal(named(varied, "unseen0", t), named(built, "unseen0"))
        blend = 0.5 * varied.train[t, 0] + other
        np.testing.assert_allclose(named(varied, "blend_train", t), blend, atol=1e-6)
        close = cosine(varied.correlated[t, 1, 0], varied.train[t, 0])
        assert close == pytest.approx(0.5, abs=1e-6)


def test_several_training_images_have_no_correlated_probes(digits, photos):
    spec = DataSpec(examples=tuple(Example(label=n) for n in (7, 4, 1, 9)))
    shown = build(spec, FEW, 3, digits, photos)
    assert shown.names[:5] == ("train0", "train1", "train2", "train3", "blend_train")
    assert shown.train.shape == (1, 4, 1, 28, 28)
    np.testing.assert_array_equal(shown.named[:, :4], shown.train)
    assert shown.correlated.shape == (1, 0, 2, 1, 28, 28) and shown.rho.shape == (0,)


def test_all_shows_the_first_three_training_images(digits, photos):
    spec = DataSpec(examples="all")
    shown = build(spec, FEW, 3, digits, photos)
    names = [name for name in shown.names if name.startswith("train")]
    assert names == ["train0", "train1", "train2"]
    first = standardize(load_split(digits, "train").images[:3], spec)
    np.testing.assert_array_equal(shown.train[0], first)
    assert shown.correlated.shape[1] == 0 and "unseen2" in shown.names


def test_out_of_domain_is_read_only_if_asked_for(digits, tmp_path):
    shown = build(SEVEN, ProbeSpec(out_of_domain=0), 1, digits, tmp_path / "nothing")
    assert "out_of_domain" not in shown.kinds
    with pytest.raises(DataError, match="nothing"):
        build(SEVEN, ProbeSpec(), 1, digits, tmp_path / "nothing")


# --- sources with few images -----------------------------------------------------------------


def folder_of(levels: list[int], tmp_path: Path, **settings: Any) -> tuple[DataSpec, Path]:
    """A prepared folder of gray images, one per level (equal levels, equal images)."""
    mine = tmp_path / "mine"
    mine.mkdir()
    for number, level in enumerate(levels):
        pixels = np.random.default_rng(level).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(mine / f"{number}.png")
    spec = {"source": "image_folder", "size": 8, "digest": folder_digest(mine), **settings}
    data = DataSpec.model_validate({"examples": [{"label": 0}], **spec})
    where = DataConfig(source="image_folder", folder=str(mine))
    prepare(data, where, tmp_path / "out")
    return data, tmp_path / "out"


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([1], ["train0"]),
        ([1, 1], ["train0"]),
        ([1, 2], ["train0", "blend_train", "unseen0"]),
        ([1, 2, 3], ["train0", "blend_train", "blend_unseen", "unseen0", "unseen1"]),
    ],
)
def test_probes_that_a_small_folder_has_no_images_for_are_left_out(
    levels, expected, tmp_path, photos
):
    data, source = folder_of(levels, tmp_path)
    shown = build(data, ProbeSpec(patterns=("flat",)), 3, source, photos)
    assert list(shown.names) == [*expected, "ood0", "ood1", "ood2", "flat"]
    for name in expected[1:]:
        assert not np.array_equal(named(shown, name), shown.train[0, 0])


def test_no_probe_is_an_image_that_any_replicate_trains_on(tmp_path, photos):
    data, source = folder_of([1, 2, 3, 4], tmp_path, vary=True)
    few = ProbeSpec(out_of_domain=0, patterns=())
    shown = build(data, few, 3, source, photos)
    assert shown.names == ("train0", "blend_train", "unseen0")
    last = standardize(load_split(source, "test").images[3], data)
    np.testing.assert_array_equal(shown.named[:, 2], np.stack([last] * 3))
    every = data.model_copy(update={"vary": False, "examples": "all"})
    assert build(every, few, 3, source, photos).names == ("train0", "train1", "train2")


def test_fashion_subset_never_shows_the_training_image_as_unseen(fashion, mnist):
    data = DataSpec(source="fashion_mnist", examples=(Example(label=7, index=3),))
    shown = build(data, ProbeSpec(unseen=200, patterns=()), 1, fashion, mnist)
    assert sum(kind == "unseen" for kind in shown.kinds) == 200
    pixels = standardize(load_split(fashion, "test").images, data)
    places = [sought(named(shown, f"unseen{n}"), pixels) for n in range(200)]
    assert len(set(places)) == 200
    assert sought(shown.train[0, 0], pixels) not in places


def test_mnist_probes_are_digits_and_clothes(mnist, fashion):
    data = DataSpec(source="mnist", examples=SEVEN.examples)
    shown = build(data, ProbeSpec(rho=(0.5,)), 1, mnist, fashion)
    train = load_split(mnist, "train")
    first = train.images[train.labels.tolist().index(7)]
    np.testing.assert_array_equal(named(shown, "train0"), standardize(first, data))
    clothes = standardize(load_split(fashion, "test").images, data)
    for n in range(3):
        sought(named(shown, f"ood{n}"), clothes)


# --- files -----------------------------------------------------------------------------------


def test_a_saved_set_is_read_back_whole(digits, photos, tmp_path):
    written = build(SEVEN, ProbeSpec(sizes=(7,), rho=(0.2,)), 1, digits, photos)
    path = tmp_path / "probes-0.npz"
    written.save(path)
    read = ProbeSet.load(path)
    assert read.names == written.names and read.kinds == written.kinds
    for name in ("named", "rho", "correlated", "train", "mean", "std"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
        assert getattr(read, name).dtype == getattr(written, name).dtype
    np.testing.assert_array_equal(read.resized[7], written.resized[7])
    with np.load(path, allow_pickle=False) as arrays:
        assert set(arrays.files) == {
            *("names", "kinds", "named", "named_7", "rho", "correlated", "train", "mean", "std")
        }
        assert arrays["names"].tolist() == list(written.names)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: np.savez(path, names=np.array(["a"])),
        Path.unlink,
    ],
)
def test_a_damaged_file_is_named(damage, built, tmp_path):
    path = tmp_path / "probes.npz"
    built.save(path)
    damage(path)
    with pytest.raises(DataError, match=rf"{path}: .*delete"):
        ProbeSet.load(path)


def test_the_hash_is_the_contracts_and_covers_what_the_probes_depend_on_and_nothing_else():
    base = probe_hash(SEVEN, ProbeSpec(), 3)
    assert len(base) == 12 and int(base, 16) >= 0
    assert probe_hash(SEVEN, ProbeSpec(), 5) == base
    varied = DataSpec(vary=True)
    others = [
        probe_hash(DataSpec(size=14), ProbeSpec(), 3),
        probe_hash(DataSpec(examples=(Example(label=7, index=1),)), ProbeSpec(), 3),
        probe_hash(DataSpec(source="mnist"), ProbeSpec(), 3),
        probe_hash(SEVEN, ProbeSpec(seed=1), 3),
        probe_hash(SEVEN, ProbeSpec(sizes=(7,)), 3),
        probe_hash(SEVEN, ProbeSpec(out_of_domain_source="mnist"), 3),
        probe_hash(varied, ProbeSpec(), 3),
        probe_hash(varied, ProbeSpec(), 4),
    ]
    assert len({base, *others}) == len(others) + 1

    content = [ProbeSpec().model_dump(mode="json"), SEVEN.model_dump(mode="json"), "photos", 1]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    expected = hashlib.sha256(text.encode()).hexdigest()[:12]
    assert base == expected
