"""Bad configurations, each with its one message; and what the editors' schema says of them."""

import copy
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pages import schema

from idpipe.cells import Cell, DataSpec
from idpipe.config import ProbeSpec, key_paths, load, out_of_domain_source, read, source_key
from idpipe.errors import ConfigError

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(schema())

GOOD = {
    "run": "test",
    "data": {"source": "digits"},
    "defaults": {"replicates": 2, "max_steps": 10},
    "studies": {
        "cnn": {"base": {"net": {"arch": "cnn", "width": 8}}, "axes": {"net.depth": [1, 5]}}
    },
    "probes": {"rho": [0, 1]},
}
GONE = object()

BASE, AXES = "studies/cnn/base/", "studies/cnn/axes/"
CELL = "a mapping of a cell's keys"
WHOLE = "a whole number from 1 to 1,000,000,000"
CELL_KEYS = (
    "allowed: batch_size, bias_init, data, failure, init, loss, max_steps, net, optimizer, "
    "precision, replicates, report_every, schedule, seed, stop_mse, train_layers"
)
AXIS_KEYS = CELL_KEYS.replace("data,", "cell, data,")
NAN, INF = float("nan"), float("inf")

# Where, what stands there, the path and value that the message starts with, what it says.
# The JSON schema refuses these too.
BAD_BY_ITSELF = [
    # sections
    ("studies", GONE, "studies", "missing; must be a mapping of at least one study"),
    ("studies", None, "studies = null", "must be a mapping of at least one study"),
    ("studies", {}, "studies = {}", "must be a mapping of at least one study"),
    ("studies", ["cnn"], "studies = ['cnn']", "must be a mapping of at least one study"),
    ("studies/cnn", "x", "studies.cnn = 'x'", "must be a mapping with keys among base, axes"),
    ("studies/cnn/base", None, "studies.cnn.base = null", f"must be {CELL}"),
    ("studies/cnn/axes", [1], "studies.cnn.axes = [1]", "must be a mapping (`key: value` lines)"),
    ("defaults", None, "defaults = null", f"must be {CELL}"),
    ("data", "mnist", "data = 'mnist'", "must be a mapping with keys among source, root, download"),
    ("probes", None, "probes = null", "must be a mapping with keys among rho, n_per_rho, noise"),
    ("figures", [], "figures = []", "must be a mapping with keys among interval, replicate"),
    # names
    ("run", GONE, "run", "missing; must be text of at most 100 letters, digits, - and _"),
    ("run", "a/b", "run = 'a/b'", "must be text of at most 100 letters, digits, - and _"),
    ("run", "a b", "run = 'a b'", "must be text of at most 100 letters, digits, - and _"),
    ("run", "", "run = ''", "must be text of at most 100 letters, digits, - and _"),
    ("run", "..", "run = '..'", "must be text of at most 100 letters, digits, - and _"),
    ("run", 7, "run = 7", "must be text of at most 100 letters, digits, - and _"),
    ("results", "", "results = ''", "must be the path of a folder"),
    ("results", " ", "results = ' '", "must be the path of a folder"),
    ("studies/a b", {}, "studies.a b", "the key must be text of letters, digits and _"),
    ("studies/a-b", {}, "studies.a-b", "the key must be text of letters, digits and _"),
    # unknown keys at every level
    ("reslts", "x", "reslts = 'x'", "unknown key; did you mean results? allowed: data, defaults"),
    ("rho", [0], "rho = [0]", "unknown key; did you mean probes.rho? allowed: data, defaults"),
    ("data.source", "mnist", "data.source = 'mnist'",
     "unknown key; dots are for axes, write `data: {source: ..}`; allowed: data, defaults"),
    ("data/sorce", "mnist", "data.sorce = 'mnist'",
     "unknown key; did you mean source? allowed: download, folder, root, source"),
    ("probes/roh", [0], "probes.roh = [0]", "unknown key; did you mean rho? allowed: blend"),
    ("figures/dpy", 9, "figures.dpy = 9",
     "unknown key; did you mean dpi? allowed: colormap, dpi, interval, replicate"),
    ("limits/memory", 9, "limits.memory = 9",
     "unknown key; did you mean memory_gib? allowed: cells, memory_gib"),
    ("studies/cnn/bass", {}, "studies.cnn.bass = {}",
     "unknown key; did you mean base? allowed: axes, base"),
    ("defaults/max_stepz", 9, "defaults.max_stepz = 9",
     f"unknown key; did you mean max_steps? {CELL_KEYS}"),
    ("defaults/depth", 9, "defaults.depth = 9", "unknown key; did you mean net.depth? allowed"),
    ("defaults/net", {"kernal": 9}, "defaults.net.kernal = 9",
     "unknown key; did you mean kernel? allowed: activation, arch, bias, depth, kernel, width"),
    (BASE + "net/kernell", 9, "studies.cnn.base.net.kernell = 9",
     "unknown key; did you mean kernel? allowed: activation, arch, bias, depth, kernel, width"),
    (BASE + "net.kernel", 9, "studies.cnn.base.net.kernel = 9",
     "unknown key; dots are for axes, write `net: {kernel: ..}`; allowed: batch_size"),
    (BASE + "optimizer", {"name": "adam", "beta_1": 0.5}, "studies.cnn.base.optimizer.beta_1 = 0.5",
     "unknown key; did you mean beta1? allowed: beta1, beta2, eps, lr, name"),
    (BASE + "data", {"exampels": "all"}, "studies.cnn.base.data.exampels = 'all'",
     "unknown key; did you mean examples? allowed: channels, examples"),
    (BASE + "data", {"examples": [{"label": 1, "indx": 2}]},
     "studies.cnn.base.data.examples[0].indx = 2",
     "unknown key; did you mean index? allowed: index, label"),
    (BASE + "data", {"digest": "ab"}, "studies.cnn.base.data.digest = 'ab'",
     "must be left out; idpipe fills it in"),
    ("defaults/schedule", {"factr": 0.5}, "defaults.schedule.factr = 0.5",
     "unknown key; did you mean factor? allowed: factor, milestones"),
    ("defaults/failure", {"polcy": "keep"}, "defaults.failure.polcy = 'keep'",
     "unknown key; did you mean policy? allowed: max_restarts, policy"),
    # axes
    (AXES + "net.depth", 5, "studies.cnn.axes.net.depth = 5",
     "must be a list of at least one value"),
    (AXES + "net.depth", {"a": 1}, "studies.cnn.axes.net.depth = {'a': 1}",
     "must be a list of at least one value"),
    (AXES + "net.depth", None, "studies.cnn.axes.net.depth = null",
     "must be a list of at least one value"),
    (AXES + "net.depth", [], "studies.cnn.axes.net.depth = []",
     "must be a list of at least one value"),
    (AXES + "net.depth", [1, 0], "studies.cnn.axes.net.depth[1] = 0",
     "must be a whole number from 1 to 10,000"),
    (AXES + "net.depth", [1, 10**9], "studies.cnn.axes.net.depth[1] = 1000000000",
     "must be a whole number from 1 to 10,000"),
    (AXES + "net.depth", [1, "5"], "studies.cnn.axes.net.depth[1] = '5'",
     "must be a whole number from 1 to 10,000"),
    (AXES + "net.kernel", [5, 4], "studies.cnn.axes.net.kernel[1] = 4", "must be an odd whole"),
    (AXES + "net.dpeth", [1], "studies.cnn.axes.net.dpeth = [1]",
     "unknown key; did you mean net.depth? allowed: net.activation, net.arch, net.bias"),
    (AXES + "init.x", [1], "studies.cnn.axes.init.x = [1]", f"unknown key; {AXIS_KEYS}"),
    (AXES + "", [1], "studies.cnn.axes. = [1]", "unknown key; allowed: batch_size"),
    (AXES + "optimizer", [{"lr": 1}, {"name": "adam", "lr": 0}],
     "studies.cnn.axes.optimizer[1].lr = 0", "must be a finite number above 0"),
    # types
    ("probes/rho", "0.5", "probes.rho = '0.5'",
     "must be a list; each entry: a finite number from 0 to 1"),
    ("probes/rho", [0, 1.5], "probes.rho[1] = 1.5", "must be a finite number from 0 to 1"),
    ("probes/rho", [0, "x"], "probes.rho[1] = 'x'", "must be a finite number from 0 to 1"),
    ("probes/rho", [True], "probes.rho[0] = true", "must be a number, not true or false"),
    ("probes/n_per_rho", True, "probes.n_per_rho = true", "must be a whole number from 1 to"),
    ("probes/unseen", 10**9, "probes.unseen = 1000000000", "must be a whole number from 0 to 1"),
    ("probes/sizes", 7, "probes.sizes = 7", "must be a list; each entry: a whole number from 1 to"),
    ("probes/patterns", ["flat", "chekers"], "probes.patterns[1] = 'chekers'",
     "did you mean checkerboard? allowed: flat, gradient, checkerboard"),
    ("data/download", "yes", "data.download = 'yes'", "must be true or false"),
    ("data/root", 5, "data.root = 5", "must be the path of a folder or null"),
    ("data/source", "minst", "data.source = 'minst'", "did you mean mnist? allowed: digits"),
    ("figures/dpi", "high", "figures.dpi = 'high'", "must be a whole number from 50 to 1,200"),
    ("figures/interval", 1, "figures.interval = 1", "must be a finite number above 0 and below 1"),
    ("defaults/net", "cnn", "defaults.net = 'cnn'", "must be a mapping with keys among arch"),
    (BASE + "net", "cnn", "studies.cnn.base.net = 'cnn'", "must be a mapping with keys among arch"),
    (BASE + "net/arch", "cmm", "studies.cnn.base.net.arch = 'cmm'", "allowed: fcn or cnn"),
    (BASE + "net/arch", None, "studies.cnn.base.net.arch = null", "allowed: fcn or cnn"),
    (BASE + "net/bias", 1, "studies.cnn.base.net.bias = 1", "must be true or false"),
    (BASE + "net/kernel", 4, "studies.cnn.base.net.kernel = 4",
     "must be an odd whole number, so that the kernel has a centre pixel"),
    (BASE + "net/kernel", 0, "studies.cnn.base.net.kernel = 0",
     "must be an odd whole number from 1 to 999,999,999"),
    (BASE + "net/width", 10**12, "studies.cnn.base.net.width = 1000000000000", f"must be {WHOLE}"),
    (BASE + "net", {"arch": "fcn", "kernel": 5}, "studies.cnn.base.net.kernel = 5",
     "unknown key; allowed: activation, arch, bias, depth, residual, width"),
    (BASE + "optimizer", "adam", "studies.cnn.base.optimizer = 'adam'",
     "must be a mapping with keys among name, lr, momentum"),
    (BASE + "optimizer", {"name": "sdg"}, "studies.cnn.base.optimizer.name = 'sdg'",
     "did you mean sgd? allowed: sgd, adagrad, rmsprop, adam or adamax"),
    (BASE + "optimizer", {"lr": 0}, "studies.cnn.base.optimizer.lr = 0",
     "must be a finite number above 0"),
    (BASE + "optimizer", {"lr": -1}, "studies.cnn.base.optimizer.lr = -1",
     "must be a finite number above 0"),
    (BASE + "optimizer", {"lr": "fast"}, "studies.cnn.base.optimizer.lr = 'fast'",
     "must be a finite number above 0"),
    (BASE + "init", "xaver_normal", "studies.cnn.base.init = 'xaver_normal'",
     "did you mean xavier_normal? allowed: pytorch, printed"),
    (BASE + "init", ["printed"], "studies.cnn.base.init = ['printed']", "must be pytorch, printed"),
    (BASE + "data", {"size": 0}, "studies.cnn.base.data.size = 0", f"must be {WHOLE}"),
    (BASE + "data", {"channels": 2}, "studies.cnn.base.data.channels = 2", "must be 1 or 3"),
    (BASE + "data", {"examples": "al"}, "studies.cnn.base.data.examples = 'al'",
     "did you mean all? allowed: a list of {label: .., index: ..}, or all"),
    (BASE + "data", {"examples": {"label": 3}}, "studies.cnn.base.data.examples = {'label': 3}",
     "must be a list of {label: .., index: ..}, or all"),
    (BASE + "data", {"examples": [{"index": 3}]}, "studies.cnn.base.data.examples[0].label",
     "missing; must be a whole number"),
    ("defaults/max_steps", "1e4", "defaults.max_steps = '1e4'", "must be a whole number from 0 to"),
    ("defaults/max_steps", 10.5, "defaults.max_steps = 10.5", "must be a whole number from 0 to"),
    ("defaults/max_steps", True, "defaults.max_steps = true", "must be a whole number from 0 to"),
    ("defaults/max_steps", -1, "defaults.max_steps = -1", "must be a whole number from 0 to"),
    ("defaults/replicates", 0, "defaults.replicates = 0", f"must be {WHOLE}"),
    ("defaults/seed", -1, "defaults.seed = -1", "must be a whole number from 0 to 2^63 - 1"),
    ("defaults/seed", 2**63, f"defaults.seed = {2**63}", "must be a whole number from 0 to 2^63"),
    ("defaults/stop_mse", -1, "defaults.stop_mse = -1", "must be a finite number of at least 0"),
    ("defaults/failure", {"policy": "restart"}, "defaults.failure.policy = 'restart'",
     "allowed: keep, fresh_seed or half_rate"),
]  # fmt: skip

# Combinations, and values that JSON has no word for: a schema cannot refuse these.
BAD_TOGETHER = [
    (5, {}, "5", "the key must be text"),
    ("studies/5", GONE, "studies.5", "the key must be text of letters, digits and _"),
    ("defaults/None", GONE, "defaults.null", "the key must be text"),
    (BASE + "net/True", GONE, "studies.cnn.base.net.true", "the key must be text"),
    ("probes/rho", [], "probes.rho = []", "must have at least one value from 0 to 1"),
    ("probes/rho", [0, 0.0], "probes.rho = [0, 0.0]", "must not repeat a value"),
    ("probes/rho", [NAN], "probes.rho[0] = nan", "must be a finite number from 0 to 1"),
    ("defaults/stop_mse", INF, "defaults.stop_mse = inf", "must be a finite number of at least 0"),
    (BASE + "optimizer", {"lr": NAN}, "studies.cnn.base.optimizer.lr = nan",
     "must be a finite number above 0"),
    (BASE + "optimizer", {"lr": 10**400}, "studies.cnn.base.optimizer.lr = 1000000000000",
     "must be a finite number above 0"),
    (BASE + "optimizer", {"nesterov": True, "momentum": 0},
     "studies.cnn.base.optimizer.nesterov = true", "must be false where momentum is 0"),
    ("defaults/schedule", {"milestones": [0.5, 0.3]}, "defaults.schedule.milestones = [0.5, 0.3]",
     "must rise, each only once"),
    (BASE + "net/depth", 5, "studies.cnn.base.net.depth = 5",
     "must be left out, for the study has an axis of this name"),
    (BASE + "net", {"width": 3}, "studies.cnn.base.net.arch", "missing; must be fcn or cnn"),
    (BASE + "net", GONE, "studies.cnn.base.net.arch", "missing; must be fcn or cnn"),
    (AXES + "net.depth", GONE, "studies.cnn.base.net.depth",
     "missing; must be a whole number from 1 to 10,000"),
    (AXES + "net.depth", [1, 2, 2], "studies.cnn.axes.net.depth[2] = 2",
     "must give a cell that the study does not have yet; it has this one at net.depth[1]"),
    (BASE + "train_layers", "bottom", "studies.cnn.base.train_layers = 'bottom'",
     "must be all where net.depth is 1"),
    (BASE + "net/kernel", 99_999, "studies.cnn.base.net.kernel = 99999",
     "training this cell needs about"),
    ("defaults/replicates", 10**9, "defaults.replicates = 1000000000",
     "training this cell needs about"),
    ("data/source", "image_folder", "data.folder = null", "must be a folder of images"),
    ("data/source", "photos", "defaults.data.examples[0].label = 7", "must be a class of photos"),
    (BASE + "data", {"channels": 3}, "studies.cnn.base.data.channels = 3", "must be 1 for digits"),
    (BASE + "data", {"mean": [0.1, 0.2]}, "studies.cnn.base.data.mean = [0.1, 0.2]",
     "must have one number per channel (1)"),
    (BASE + "data", {"examples": []}, "studies.cnn.base.data.examples = []",
     "must be at least one training image, or all"),
    (BASE + "data", {"examples": "all", "vary": True}, "studies.cnn.base.data.vary = true",
     "must be false when examples is all"),
    (BASE + "data", {"examples": [{"label": 10}]}, "studies.cnn.base.data.examples[0].label = 10",
     "must be a class of digits, from 0 to 9"),
    (BASE + "data", {"examples": [{"label": 1}, {"label": 7, "index": 10**6}]},
     "studies.cnn.base.data.examples[1].index = 1000000", "must be from 0 to 1"),
    ("figures/replicate", 2, "figures.replicate = 2",
     "must be from 0 to 1, for study cnn has cells of 2 replicates"),
]  # fmt: skip


def changed(where, value):
    """GOOD with one value changed; for a key that is no text, one that is added."""
    config = copy.deepcopy(GOOD)
    *above, last = where.split("/") if isinstance(where, str) else [where]
    section = config
    for key in above:
        section = section.setdefault(key, {})
    if last in ("5", "None", "True"):
        section[{"5": 5, "None": None, "True": True}[last]] = {}
    elif value is GONE:
        del section[last]
    else:
        section[last] = value
    if value == "photos":
        config["defaults"]["data"] = {"examples": [{"label": 7}]}
    return config


def problems(config):
    with pytest.raises(ConfigError) as caught:
        load(config)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_each_is_refused_in_one_line():
    for where, value, start, says in BAD_BY_ITSELF + BAD_TOGETHER:
        (problem,) = problems(changed(where, value))
        assert problem.startswith(f"{start}: {says}" if not start.endswith("0000") else start)
        assert says in problem and "\n" not in problem


def test_the_schema_refuses_what_is_bad_by_itself_too():
    assert [row for row in BAD_BY_ITSELF if SCHEMA.is_valid(changed(*row[:2]))] == []


def test_good():
    plan = load(GOOD)
    assert SCHEMA.is_valid(GOOD)
    assert list(plan.studies) == ["cnn"]
    assert [cell.net.depth for cell in plan.cells.values()] == [1, 5]
    assert {cell.max_steps for cell in plan.cells.values()} == {10}


def test_numbers_that_yaml_reads_as_text_are_numbers(tmp_path):
    path = tmp_path / "config.yaml"
    base = "{net: {arch: cnn, depth: 1}, optimizer: {lr: 1e-4}}"
    path.write_text(f"run: x\nstudies: {{a: {{base: {base}}}}}\n")
    (cell,) = load(read([path])).cells.values()
    assert cell.optimizer.lr == 1e-4


def test_an_entry_whose_key_is_refused_is_not_looked_into():
    config = changed("studies/a b", "no study either")
    (problem,) = problems(config)
    assert problem.startswith("studies.a b: the key must be text of letters")


def test_every_problem_is_told_at_once():
    config = changed("probes/rho", [2])
    config["run"] = "a b"
    config["figures"] = {"dpi": 1}
    told = [problem.partition(" = ")[0] for problem in problems(config)]
    assert told == ["run", "probes.rho[0]", "figures.dpi"]


JUNK = [
    *(None, True, 0, 1, -1, 7, 10**30, 0.5, NAN, INF, "", "x", "all", "cnn", "adam", "5"),
    *([], [1], ["x"], [[]], [{}], {}, {"a": 1}, {"name": "adam"}, {"arch": "fcn", "depth": 2}),
    *([{"label": 3}], {1: 2}, {None: 3}, {"[key]": 1}, {"net.depth": 3}, "image_folder"),
]
KEYS = [*key_paths(Cell), "studies", "base", "axes", "[key]", "label", " ", "rho", 5, None]


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_junk_anywhere_gives_lines_and_nothing_else(seed, changes):
    draw = random.Random(seed)
    config = copy.deepcopy(GOOD)
    for _ in range(changes):
        section = draw.choice(list(_sections(config)))
        old = draw.choice(list(section) or [0])
        section[draw.choice([old, old, draw.choice(KEYS)])] = copy.deepcopy(draw.choice(JUNK))
    try:
        load(config)
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            assert "\n" not in problem
            assert "Input should" not in problem
            assert "object at 0x" not in problem


def _sections(value):
    if isinstance(value, dict):
        yield value
        for entry in value.values():
            yield from _sections(entry)


def test_source_keys():
    assert source_key(DataSpec(source="mnist", size=14)) == "mnist"
    keys = {
        source_key(DataSpec(source="image_folder", digest=digest, channels=channels, size=size))
        for digest in "ab"
        for channels in (1, 3)
        for size in (28, 32)
    }
    assert len(keys) == 8


def test_out_of_domain_images_come_from_another_source():
    probes = ProbeSpec()
    for source in ("digits", "photos", "mnist", "fashion_mnist", "cifar10", "image_folder"):
        assert out_of_domain_source(DataSpec(source=source), probes) != source
    assert out_of_domain_source(DataSpec(source="photos"), probes) == "digits"  # embedded too
    chosen = ProbeSpec(out_of_domain_source="cifar10")
    assert out_of_domain_source(DataSpec(), chosen) == "cifar10"


def test_images_beside_folders_of_images_are_refused(tmp_path):
    (tmp_path / "cats").mkdir()
    for path in (tmp_path / "one.png", tmp_path / "cats" / "two.png"):
        path.write_bytes(b"never opened")
    settings = changed("data/source", "image_folder")
    settings["data"]["folder"] = str(tmp_path)
    with pytest.raises(ConfigError, match=r"data\.folder = .*one\.png is beside the folder cats"):
        load(settings)


def test_the_home_folder_may_be_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(changed("results", "~/here")).config.results == str(tmp_path / "here")
    monkeypatch.setenv("SCRATCH", "/scratch/me")
    assert load(changed("results", "$SCRATCH/idpipe")).config.results == "/scratch/me/idpipe"


def test_a_study_set_to_null_is_left_out():
    study = {"base": {"net": {"arch": "cnn"}}, "axes": {"net.depth": [1]}}
    settings = {"run": "x", "studies": {"kept": study, "dropped": None}}
    assert list(load(settings).studies) == ["kept"]
    with pytest.raises(ConfigError, match="studies"):
        load({"run": "x", "studies": {"dropped": None}})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("$NO_SUCH/x", "names $NO_SUCH, which the environment does not have"),
        ("${NO_SUCH}", "names ${NO_SUCH}, which the environment does not have"),
        ("my {run}", "must be a path without '{' and '}'"),
        ("a\0b", "must be a path without '\\x00'"),
        ("a\nb", "must be a path without '\\n'"),
        ("x" * 256, "must be a path of names of at most 255 bytes"),
    ],
)
def test_a_folder_that_cannot_be_is_refused(value, reason):
    with pytest.raises(ConfigError) as caught:
        load(changed("results", value))
    (line,) = caught.value.problems
    assert line.startswith("results = ") and line.endswith(reason)


def test_a_name_too_long_for_a_file_is_refused():
    with pytest.raises(ConfigError, match="at most 100 letters"):
        load(changed("run", "x" * 101))
