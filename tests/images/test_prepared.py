"""Sources are what they claim to be; what is missing or damaged is refused by name."""

import hashlib
import json
import os
import pickle
import shutil
import socket
import struct
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_sets import IDX, pack, prepared, write_idx
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images
from sklearn.neighbors import KNeighborsClassifier
from torchvision import datasets

from idpipe.cells import SOURCES, DataSpec, Example
from idpipe.config import DataConfig, folder_counts, folder_digest
from idpipe.errors import DataError
from idpipe.images import load_split, prepare, resize, standardize, training_images, unstandardize
from idpipe.images.sources import torchvision_sets


def flipped(content: bytes, place: int | None = None) -> bytes:
    """It with one bit flipped, of the byte in the middle or at a place."""
    changed = bytearray(content)
    changed[len(content) // 2 if place is None else place] ^= 1
    return bytes(changed)


# --- embedded sources ------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["digits", "photos", "mnist"])
def test_class_counts_that_configs_are_checked_against_are_those_prepared(source, request):
    folder = request.getfixturevalue(source)
    counts = np.bincount(load_split(folder, "train").labels)
    assert tuple(counts) == SOURCES[source].per_class
    assert json.loads((folder / "info.json").read_text())["train"]["counts"] == list(counts)


def test_digits_split_and_labels_are_scikit_learns(digits):
    train, test = load_split(digits, "train"), load_split(digits, "test")
    assert train.images.shape == (1437, 1, 28, 28) and test.images.shape == (360, 1, 28, 28)
    assert train.images.dtype == np.uint8 and train.labels.dtype == np.int64
    assert [*train.labels, *test.labels] == list(load_digits().target)


def test_digits_lie_as_mnist_places_them(digits):
    for image in load_split(digits, "train").images[:, 0].astype(float):
        assert image.min() == 0 and image.max() == 255
        rows, columns = np.nonzero(image)
        spans = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert max(spans) in (19, 20)  # an edge pixel may round to 0
        mass = [np.average(axis, weights=image[rows, columns]) for axis in (rows, columns)]
        assert np.abs(np.array(mass) - 13.5).max() <= 0.5 + 1e-9


def test_digits_show_the_image_they_were_made_from(digits):
    agreements = []
    for image, small in zip(load_split(digits, "train").images, load_digits().images, strict=False):
        rows, columns = np.nonzero(image[0])
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        shown = Image.fromarray(image[0]).crop(box)
        rows, columns = np.nonzero(small > 6)
        part = small[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        shrunk = np.asarray(shown.resize(part.shape[::-1], Image.Resampling.BOX))
        agreements.append(np.corrcoef(shrunk.ravel(), part.ravel())[0, 1])
    assert np.median(agreements) > 0.85


def test_digits_pass_for_mnist(digits, mnist):
    ours, theirs = load_split(digits, "train"), load_split(mnist, "train")
    pixels = ours.images / 255
    assert abs(pixels.mean() - 0.1307) < 0.02 and abs(pixels.std() - 0.3081) < 0.03
    # A reader who only ever saw MNIST knows most of them: 78% are read right, chance is 10%.
    reader = KNeighborsClassifier(3)
    reader.fit(theirs.images[:6000].reshape(6000, -1), theirs.labels[:6000])
    assert reader.score(ours.images.reshape(len(ours.labels), -1), ours.labels) > 0.7


def test_photos_are_different_tiles_of_the_photographs(photos):
    where: dict[bytes, tuple[int, int, int]] = {}
    for label, photo in enumerate(load_sample_images().images):
        top, left = photo.shape[0] % 40 // 2, photo.shape[1] % 40 // 2
        for y in range(top, photo.shape[0] - 39, 40):
            for x in range(left, photo.shape[1] - 39, 40):
                tile = Image.fromarray(photo).crop((x, y, x + 40, y + 40))
                tile = tile.resize((32, 32), Image.Resampling.BILINEAR)
                where[np.asarray(tile).tobytes()] = (label, y, x)
    found = set()
    for split in (load_split(photos, "train"), load_split(photos, "test")):
        for image, label in zip(split.images, split.labels, strict=True):
            place = where[np.moveaxis(image, 0, -1).tobytes()]
            assert place[0] == label and place not in found
            assert image.std() > 15
            found.add(place)
    assert len(found) == 90


# --- MNIST's format --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_idx_sources_equal_torchvision(name, real_images, request):
    folder = request.getfixturevalue(name)
    kind = {"mnist": datasets.MNIST, "fashion": datasets.FashionMNIST}[name]
    for split in ("train", "test"):
        theirs, ours = kind(real_images, train=split == "train"), load_split(folder, split)
        np.testing.assert_array_equal(ours.images[:, 0], theirs.data.numpy())
        np.testing.assert_array_equal(ours.labels, theirs.targets.numpy())


def test_a_subset_records_its_own_counts(fashion):
    assert json.loads((fashion / "info.json").read_text())["test"]["counts"] == [90] * 10


@pytest.mark.parametrize("name", IDX)
def test_one_flipped_byte_of_mnist_is_found(name, real_images, tmp_path):
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    for other in {*IDX} - {name}:
        (raw / other).symlink_to(real_images / "MNIST/raw" / other)
    (raw / name).write_bytes(flipped((real_images / "MNIST/raw" / name).read_bytes(), -3))
    with pytest.raises(DataError, match=rf"raw/{name}: truncated or corrupt.*SHA-256.*[Dd]elete"):
        prepared(tmp_path / "out", "mnist", tmp_path)
    assert not (tmp_path / "out/info.json").exists()


IDX_DAMAGES = [
    # file's place in `IDX` -> its content then; what is said of the last one
    *[({place: lambda old: old[:-1]}, r"it has [\d,]+ bytes") for place in range(4)],
    ({2: lambda old: b"\0\0\x09" + old[3:]}, ".*no idx header"),
    ({2: lambda old: b""}, ".*no idx header"),
    ({2: lambda old: old + b"\0"}, ".*header promises"),
    ({2: lambda old: struct.pack(">IIII", 0x803, 12, 14, 56) + old[16:]}, ".*not 28 x 28"),
    ({3: lambda old: old[:-1] + b"\x0a"}, ".*the label 10"),
    ({3: lambda old: struct.pack(">II", 0x801, 11) + bytes(11)}, ".*has 11 labels"),
    (
        {
            2: lambda old: struct.pack(">IIII", 0x803, 0, 28, 28),
            3: lambda old: struct.pack(">II", 0x801, 0),
        },
        ".*has 0 labels",
    ),
]


@pytest.mark.parametrize(("damages", "reason"), IDX_DAMAGES)
def test_a_damaged_idx_file_is_named(damages, reason, tmp_path):
    raw = write_idx(tmp_path)
    prepared(tmp_path / "out", "mnist", tmp_path)
    for place, damage in damages.items():
        path = raw / IDX[place]
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"{path}: truncated or corrupt: {reason}"):
        prepared(tmp_path / "out", "mnist", tmp_path)


def test_packed_files_alone_are_read(tmp_path):
    raw = write_idx(tmp_path)
    before = load_split(prepared(tmp_path / "plain", "mnist", tmp_path), "test")
    for name in IDX:
        pack(raw, name)
    after = load_split(prepared(tmp_path / "packed", "mnist", tmp_path), "test")
    np.testing.assert_array_equal(before.images, after.images)
    np.testing.assert_array_equal(before.labels, after.labels)


def test_a_truncated_packed_file_is_named(tmp_path):
    packed = pack(write_idx(tmp_path), IDX[0])
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(DataError, match=f"{packed}: truncated or corrupt"):
        prepared(tmp_path / "out", "mnist", tmp_path)


def test_a_flipped_byte_shows_against_the_packed_file_beside_it(tmp_path):
    path = write_idx(tmp_path) / IDX[0]
    pack(path.parent, IDX[0], keep=True)
    prepared(tmp_path / "out", "mnist", tmp_path)
    path.write_bytes(flipped(path.read_bytes(), 1000))
    with pytest.raises(DataError, match=rf"{path}: truncated or corrupt.*{IDX[0]}\.gz"):
        prepared(tmp_path / "out", "mnist", tmp_path)


# --- what cannot be had ----------------------------------------------------------------------


@contextmanager
def helpfully_refused(source: str, folder: Path) -> Iterator[pytest.ExceptionInfo[DataError]]:
    with pytest.raises(DataError) as error:
        yield error
    text = str(error.value)
    assert f"data.source = {source}" in text
    for needed in (str(folder), "data.root", "IDPIPE_DATA", "data.source: digits"):
        assert needed in text
    assert folder.is_absolute() and "\n" not in text
    # Nothing of the failed attempt shows as a traceback.
    assert error.value.__suppress_context__ or error.value.__context__ is None


INSIDE = {
    "mnist": "MNIST/raw",
    "fashion_mnist": "FashionMNIST/raw",
    "cifar10": "cifar-10-batches-py",
}


@pytest.mark.parametrize("source", INSIDE)
def test_a_missing_data_set_says_where_it_was_sought_and_what_to_do(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with helpfully_refused(source, tmp_path / "elsewhere" / INSIDE[source]) as error:
        prepared(tmp_path / "out", source, Path("elsewhere"))
    assert "data.download is false" in str(error.value)
    assert not (tmp_path / "out").exists() and not (tmp_path / "elsewhere").exists()


def test_a_file_missing_from_the_set_counts_as_missing(tmp_path):
    (write_idx(tmp_path) / IDX[1]).unlink()
    with helpfully_refused("mnist", tmp_path / "MNIST/raw"):
        prepared(tmp_path / "out", "mnist", tmp_path)


def test_a_missing_out_of_domain_source_names_its_key(tmp_path):
    where = DataConfig(source="mnist", download=False)
    with pytest.raises(DataError) as error:
        prepare(DataSpec(source="fashion_mnist"), where, tmp_path / "out", tmp_path)
    assert "probes.out_of_domain_source" in str(error.value)
    assert "probes.out_of_domain_source: photos" in str(error.value)


def test_the_root_comes_from_the_config_then_the_environment_then_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = DataSpec(source="mnist")
    for root, variable, sought in (("a", "b", "a"), (None, "b", "b"), (None, "", "data")):
        monkeypatch.setenv("IDPIPE_DATA", variable)
        where = DataConfig(source="mnist", root=root, download=False)
        with pytest.raises(DataError, match=f"not found in {tmp_path / sought}/MNIST/raw"):
            prepare(spec, where, tmp_path / "out")


@pytest.mark.parametrize("source", INSIDE)
@pytest.mark.usefixtures("no_proxy")
def test_a_refused_download_gives_the_same_message(source, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    for kind in (datasets.MNIST, datasets.FashionMNIST):
        monkeypatch.setattr(kind, "mirrors", [address])
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}cifar-10-python.tar.gz")
    with helpfully_refused(source, tmp_path / "root" / INSIDE[source]) as error:
        prepared(tmp_path / "out", source, tmp_path / "root", download=True)
    assert "the download failed" in str(error.value) and "refused" in str(error.value)
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.usefixtures("no_proxy")
def test_a_silent_server_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision_sets, "NETWORK_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(datasets.MNIST, "mirrors", [address])
        with pytest.raises(DataError, match=r"the download failed .*timed out"):
            prepared(tmp_path / "out", "mnist", tmp_path, download=True)
    assert socket.getdefaulttimeout() is None


def test_a_root_that_cannot_be_written_gives_the_same_message(tmp_path):
    (tmp_path / "root").write_text("a file, not a folder")
    with helpfully_refused("mnist", tmp_path / "root/MNIST/raw"):
        prepared(tmp_path / "out", "mnist", tmp_path / "root", download=True)


@pytest.mark.usefixtures("no_proxy")
def test_a_download_leaves_files_that_are_there_and_no_litter(server, tmp_path, monkeypatch):
    served, address = server
    resources = []
    raw = write_idx(tmp_path / "origin", seed=1)
    for name in IDX:
        packed = Path(shutil.copy(pack(raw, name, keep=True), served))
        resources.append((packed.name, hashlib.md5(packed.read_bytes()).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "mirrors", [address])
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    mine = tmp_path / "root/MNIST/raw" / IDX[0]
    mine.parent.mkdir(parents=True)
    shutil.copy(raw / IDX[0], mine)
    kept = mine.stat().st_mtime_ns
    out = prepared(tmp_path / "out", "mnist", tmp_path / "root", download=True)
    assert load_split(out, "test").images.tobytes() == (raw / IDX[2]).read_bytes()[16:]
    assert mine.stat().st_mtime_ns == kept
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["MNIST"]
    (served / f"{IDX[0]}.gz").unlink()
    prepared(tmp_path / "again", "mnist", tmp_path / "root", download=True)


# --- CIFAR-10's format -----------------------------------------------------------------------


def test_cifar_pixels_lie_by_channel_row_column(cifar, tmp_path):
    out = prepared(tmp_path / "out", "cifar10", cifar.parent)
    train = load_split(out, "train")
    assert train.images.shape == (12, 3, 32, 32) and list(train.labels[:6]) == [0, 1, 2, 3, 9, 9]
    rows = pickle.loads((cifar / "data_batch_2").read_bytes())["data"]
    # One row of a batch: 1024 red values, then green, then blue, each row by row.
    assert train.images[8, 1, 5, 7] == rows[2, 1024 + 5 * 32 + 7]
    assert len(load_split(out, "test").labels) == 6


@pytest.mark.parametrize("damage", [lambda old: flipped(old, 99), lambda old: b""])
@pytest.mark.parametrize("name", ["data_batch_2", "test_batch", "batches.meta"])
def test_a_damaged_cifar_batch_is_named(name, damage, cifar, tmp_path):
    (cifar / name).write_bytes(damage((cifar / name).read_bytes()))
    with pytest.raises(DataError, match=rf"{cifar / name}: truncated or corrupt.*MD5"):
        prepared(tmp_path / "out", "cifar10", cifar.parent, download=True)


def test_a_cifar_archive_is_unpacked(cifar, tmp_path, monkeypatch):
    archive = cifar.parent / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(cifar, cifar.name)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    before = load_split(prepared(tmp_path / "one", "cifar10", cifar.parent), "train")
    shutil.rmtree(cifar)
    out = prepared(tmp_path / "two", "cifar10", cifar.parent, download=True)
    np.testing.assert_array_equal(load_split(out, "train").images, before.images)
    assert {path.name for path in cifar.parent.iterdir()} == {archive.name, cifar.name}


# --- the user's own images -------------------------------------------------------------------


def picture(path: Path, level: int = 128) -> Path:
    """A flat image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), level).save(path, "PNG")
    return path


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The folder of the user's own images."""
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


def own(folder: Path, **settings: Any) -> Path:
    """It, prepared beside it."""
    spec = {"size": 8, "digest": folder_digest(folder), "examples": [{"label": 0}], **settings}
    where = DataConfig(source="image_folder", folder=str(folder))
    data = DataSpec.model_validate({"source": "image_folder", **spec})
    prepare(data, where, folder.with_name("out"))
    return folder.with_name("out")


def shown(folder: Path, **settings: Any) -> np.ndarray:
    """Its training images."""
    return load_split(own(folder, **settings), "train").images


LAYOUTS: dict[str, tuple[list[str], list[int], list[int]]] = {
    # files, in any order -> labels of the training set, labels of the test set
    "flat": (["b.png", "a.png", "c.png"], [0, 0, 0], [0, 0, 0]),
    "classes": (["two/x.png", "one/y.png", "one/z.png"], [0, 0, 1], [0, 0, 1]),
    "nested": (["a/deep/x.png", "a/y.png", "b/z.png"], [0, 0, 1], [0, 0, 1]),
    "train only": (["train/b.png", "train/a.png"], [0, 0], [0, 0]),
    "flat split": (["train/a.png", "test/b.png", "test/c.png"], [0], [0, 0]),
    "class split": (["train/q/a.png", "train/p/b.png", "test/q/c.png"], [0, 1], [1]),
    "new class in test": (["train/q/a.png", "test/p/b.png", "test/q/c.png"], [0], [0, 1]),
    "empty class": (["train/q/a.png", "train/p/notes.txt", "train/r/b.png"], [0, 1], [0, 1]),
    "beside train": (["train/q/a.png", "cover.png", "docs/b.png"], [0], [0]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_image_folder_layouts(layout, mine):
    files, train_labels, test_labels = LAYOUTS[layout]
    for level, name in enumerate(files):
        picture(mine / name, level)
        if name.endswith(".txt"):
            (mine / name).write_text("no image")
    out = own(mine)
    train, test = load_split(out, "train"), load_split(out, "test")
    assert list(train.labels) == train_labels and list(test.labels) == test_labels
    # What configs are checked against counts the same images in the same classes.
    assert folder_counts(mine) == list(np.bincount(train.labels))
    inside = [n for n in files if n.startswith("train/")] or files
    ordered = sorted((n for n in inside if n.endswith(".png")), key=lambda n: Path(n).parts)
    assert list(train.images[:, 0, 0, 0]) == [files.index(name) for name in ordered]


def test_images_of_any_shape_become_their_central_square(mine):
    wide = np.zeros((8, 20), np.uint8)
    wide[:, 6:14] = np.arange(64).reshape(8, 8)
    Image.fromarray(wide).save(mine / "a.png")
    Image.fromarray(wide.T).save(mine / "b.png")
    square = np.arange(64).reshape(8, 8)
    np.testing.assert_array_equal(shown(mine)[:, 0], [square, square.T])


def test_shrinking_averages_rather_than_skips(mine):
    board = np.indices((64, 64)).sum(0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(mine / "a.png")
    assert np.abs(shown(mine).astype(int) - 127).max() <= 2


def test_gray_is_luma_and_colour_is_kept(mine):
    Image.new("RGB", (8, 8), (250, 100, 30)).save(mine / "a.png")
    gray, colour = shown(mine), shown(mine, channels=3)
    assert gray.shape == (1, 1, 8, 8) and abs(gray[0, 0, 0, 0] - 136.87) < 1
    assert list(colour[0, :, 0, 0]) == [250, 100, 30]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_lies_on_black(mode, mine):
    image = Image.new("LA", (8, 8), (200, 255))
    image.paste((200, 0), (0, 0, 4, 8))
    if mode == "P":
        flat = Image.new("P", (8, 8), 1)
        flat.putpalette([0, 0, 0, 200, 200, 200, 90, 90, 90])
        flat.paste(2, (0, 0, 4, 8))
        flat.save(mine / "a.png", transparency=2)
    else:
        image.convert(mode).save(mine / "a.png")
    pixels = shown(mine)[0, 0]
    assert (pixels[:, :4] == 0).all() and (pixels[:, 4:] == 200).all()


def test_sixteen_bit_gray_keeps_its_range(mine):
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(mine / "a.png")
    Image.fromarray(ramp).save(mine / "b.tiff")
    both = shown(mine)
    assert len(both) == 2 and np.abs(both.astype(float) - ramp / 257).max() <= 0.5


def test_a_turned_photograph_stands_upright(mine):
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the top lies at the right
    Image.fromarray(np.rot90(pixels, 1)).save(mine / "a.png", exif=exif)
    np.testing.assert_array_equal(shown(mine)[0, 0], pixels)


KINDS = ("png", "jpg", "bmp", "gif", "tiff", "webp")
UNREADABLE = [
    *[(f"a.{kind}", lambda old: old[: len(old) // 2]) for kind in KINDS],
    ("a.png", lambda old: b""),
    ("a.png", lambda old: b"no image at all"),
    ("a.png", lambda old: b"\x89PNG\r\n\x1a\n"),
    ("a.png", flipped),
]


@pytest.mark.parametrize(("name", "damage"), UNREADABLE)
@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_a_damaged_image_is_named(name, damage, mine):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    Image.fromarray(pixels).save(mine / name)
    own(mine)
    (mine / name).write_bytes(damage((mine / name).read_bytes()))
    with pytest.raises(DataError, match=rf"{mine / name}: cannot be read as an image"):
        own(mine)


def test_floating_point_pixels_are_refused(mine):
    Image.fromarray(np.ones((8, 8), np.float32)).save(mine / "a.tiff")
    with pytest.raises(DataError, match=r"a.tiff: .*floating point"):
        own(mine)


def test_images_beside_classes_are_refused(mine):
    picture(mine / "a/x.png")
    loose = picture(mine / "y.png")
    with pytest.raises(DataError, match=rf"data\.folder: {loose} lies beside"):
        own(mine)


def test_a_folder_that_changed_since_it_was_hashed_is_refused(mine):
    picture(mine / "a.png")
    digest = folder_digest(mine)
    picture(mine / "a.png", 7)
    with pytest.raises(DataError, match=r"data\.folder = .*changed"):
        own(mine, digest=digest)


@pytest.mark.parametrize("folder", [None, "missing", "empty", "untrained"])
def test_a_folder_without_training_images_is_refused(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "untrained/train").mkdir(parents=True)
    where = DataConfig(source="image_folder", folder=folder and str(tmp_path / folder))
    with pytest.raises(DataError, match=r"data\.folder"):
        prepare(DataSpec(source="image_folder"), where, tmp_path / "out")


# --- prepared files --------------------------------------------------------------------------


def test_preparing_twice_gives_the_same_bytes_and_no_litter(tmp_path):
    write_idx(tmp_path)
    out = prepared(tmp_path / "out", "mnist", tmp_path)
    names = {"train.npz", "test.npz", "info.json"}
    first = {name: (out / name).read_bytes() for name in names}
    prepared(out, "mnist", tmp_path)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    info = json.loads(first["info.json"])
    assert info["source"] == "mnist" and info["origin"] == str(tmp_path / "MNIST/raw")
    images = load_split(out, "train").images
    assert info["train"]["images_sha256"] == hashlib.sha256(images.tobytes()).hexdigest()


IMAGES = np.zeros((3, 1, 4, 4), np.uint8)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-50]),
        lambda path: path.write_bytes(flipped(path.read_bytes(), 3000)),
        lambda path: path.write_bytes(b""),
        os.unlink,
        partial(np.savez, pictures=np.zeros(3)),
        partial(np.savez, images=IMAGES, labels=np.zeros(2, np.int64)),
        partial(np.savez, images=IMAGES.astype(float), labels=np.zeros(3, np.int64)),
    ],
)
def test_a_damaged_prepared_file_is_named(damage, tmp_path):
    write_idx(tmp_path)
    out = prepared(tmp_path / "out", "mnist", tmp_path)
    damage(out / "test.npz")
    with pytest.raises(DataError, match=rf"{out}/test\.npz: .*delete"):
        load_split(out, "test")


# --- pixels ----------------------------------------------------------------------------------


def test_standardizing_follows_appendix_a():
    spec = DataSpec(source="photos")
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4), dtype=np.uint8)
    scaled = standardize(images, spec)
    assert scaled.dtype == np.float32
    by_hand = (images[1, 2, 3, 0] / 255 - 0.4465) / 0.2616
    assert scaled[1, 2, 3, 0] == pytest.approx(by_hand, rel=1e-6)
    gray = standardize(np.full((1, 1, 2, 2), 255, np.uint8), DataSpec())
    assert gray[0, 0, 0, 0] == pytest.approx((1 - 0.1307) / 0.3081, rel=1e-6)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["digits", "photos"]))
def test_unstandardizing_undoes_it_and_does_not_clip(seed, source):
    spec = DataSpec.model_validate({"source": source})
    shape = (2, spec.channels, 5, 5)
    images = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    back = unstandardize(standardize(images, spec), spec)
    np.testing.assert_allclose(back, images / 255, atol=1e-6)
    bright = np.full((spec.channels, 1, 1), 10, np.float32)
    assert unstandardize(bright, spec).max() > 3


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
def test_resizing_keeps_range_and_flat_images(size, height, width, seed):
    images = np.random.default_rng(seed).normal(size=(2, 3, height, width)).astype(np.float32)
    images[1, 1] = 0.7
    small = resize(images, size)
    assert small.shape == (2, 3, size, size) and small.dtype == np.float32
    assert small.min() >= images.min() - 1e-5 and small.max() <= images.max() + 1e-5
    np.testing.assert_allclose(small[1, 1], 0.7, rtol=1e-5)


def test_resizing_to_the_same_size_changes_nothing():
    images = np.random.default_rng(0).normal(size=(3, 1, 9, 9)).astype(np.float32)
    np.testing.assert_array_equal(resize(images, 9), images)


def test_resizing_shrinks_without_aliases_and_keeps_the_mean():
    board = (np.indices((28, 28)).sum(0) % 2).astype(np.float32)
    np.testing.assert_allclose(resize(board, 7), 0.5, atol=0.05)
    image = np.random.default_rng(0).random((28, 28), np.float32)
    assert resize(image, 14).mean() == pytest.approx(image.mean(), abs=0.01)


def test_resizing_does_not_turn_or_mirror():
    image = np.zeros((8, 8), np.float32)
    image[1, 6] = 1
    row, column = np.unravel_index(resize(image, 16).argmax(), (16, 16))
    assert row in (2, 3) and column in (12, 13)


# --- training images -------------------------------------------------------------------------


def test_training_images_are_counted_within_their_class_and_varying_ones_follow(digits):
    train = load_split(digits, "train")
    sevens, zeros = (np.flatnonzero(train.labels == label) for label in (7, 0))
    one = Example(label=7, index=4)
    for spec, chosen in (
        (DataSpec(examples=(one, Example(label=0, index=2))), [[sevens[4], zeros[2]]]),
        (DataSpec(examples=(one,), vary=True), [[number] for number in sevens[4:7]]),
        (DataSpec(examples="all"), [range(1437)]),
    ):
        images = training_images(spec, digits, replicates=3)
        assert images.shape == (*np.shape(chosen), 1, 28, 28) and images.dtype == np.float32
        expected = [standardize(train.images[list(row)], spec) for row in chosen]
        np.testing.assert_array_equal(images, expected)


def test_training_images_come_at_the_cells_size(digits):
    full = training_images(DataSpec(), digits, 1)
    small = training_images(DataSpec(size=14), digits, 1)
    assert small.shape == (1, 1, 1, 14, 14)
    np.testing.assert_allclose(small, resize(full, 14), atol=1e-6)


@pytest.mark.parametrize(("index", "vary", "last"), [(90, False, 89), (88, True, 87)])
def test_an_image_the_files_do_not_have_is_named(index, vary, last, fashion):
    def images(index: int) -> np.ndarray:
        example = Example(label=3, index=index)
        spec = DataSpec(source="fashion_mnist", examples=(example,), vary=vary)
        return training_images(spec, fashion, replicates=3)

    key = rf"data\.examples\[0\]\.index = {index}: must be from 0 to {last}"
    with pytest.raises(DataError, match=key):
        images(index)
    assert len(images(last)) == (3 if vary else 1)


def test_a_class_the_files_do_not_have_is_named(mine):
    picture(mine / "a/x.png")
    spec = DataSpec(source="image_folder", size=8, examples=(Example(label=1),))
    with pytest.raises(DataError, match=r"data\.examples\[0\]\.label = 1: must be a class"):
        training_images(spec, own(mine), replicates=1)
