"""A made-up run in which every claim of the paper holds, as tables; tests change parts of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from idpipe.cells import column_values
from idpipe.config import Plan
from idpipe.results import EVIDENCE, TABLES, Results

EMPTY = {table.name: [column.name for column in table.columns] for table in (*TABLES, EVIDENCE)}
RHO = tuple(i / 10 for i in range(11))
NAMED = ("unseen", "out_of_domain", "pattern")

Behaviour = Callable[[float, int], tuple[float, float]]
"""rho (of a named probe 0.3) and size of a probe -> correlations to input and training image."""


def identity(q: float = 0.95) -> Behaviour:
    return lambda rho, size: (q, q * rho)


def constant(q: float = 0.95) -> Behaviour:
    return lambda rho, size: (q * rho, q)


def neither(rho: float, size: int) -> tuple[float, float]:
    return 0.5, 0.5


def pull(k: float) -> Behaviour:
    """An FCN: at rho = 0 correlation k to the constant and nothing of the input."""
    return lambda rho, size: (0.9 * rho, k + (1 - k) * rho)


noise = pull(0.0)


def at_sizes(special: dict[int, tuple[float, float]], otherwise: Behaviour) -> Behaviour:
    return lambda rho, size: special.get(size) or otherwise(rho, size)


@dataclass
class Net:
    """One network: what it does with probes, how its training ended, what its layers hold."""

    study: str
    does: Behaviour
    columns: dict[str, Any]
    statuses: list[str] = field(default_factory=lambda: ["converged"] * 3)
    train_mse: float = 1e-4
    steps: int = 500
    restarts: int = 0
    spread: list[float] | None = None
    """Added to each replicate's correlations, to the input alone where `tilted`; else a jitter."""
    tilted: bool = False
    error: Callable[[float], float] = lambda close: 2 * (1 - close)
    """MSE by correlation; of images of one energy it is this."""
    layers: dict[str, list[float]] = field(default_factory=dict)
    """`distance trained` (from layer 1), `error_rate trained` (from 0) -> a value per layer."""
    evidence: dict[str, float] = field(default_factory=dict)
    rho: tuple[float, ...] = RHO
    sizes: tuple[int, ...] = ()

    def off(self, replicate: int) -> float:
        return self.spread[replicate] if self.spread else 0.004 * (replicate - 1)


class World(dict[str, Net]):
    """Networks by their study and what varies there, such as `cnn_depth 20`."""

    def add(self, key: str, does: Behaviour, arch: str, depth: int, width: int, **more: Any) -> Net:
        net = Net(key.split()[0], does, {"arch": arch, "depth": depth, "width": width, **more})
        self[key] = net
        return net

    def of(self, study: str) -> list[Net]:
        return [net for net in self.values() if net.study == study]

    def drop(self, *keys: str) -> None:
        for key in keys:
            del self[key]

    def results(self, studies: Collection[str] = ()) -> Results:
        """The run's tables, of some studies or all."""
        rows: dict[str, list[Any]] = {name: [] for name in ("cells", "studies", "metrics")}
        rows |= {"layers": [], "evidence": []}
        chosen = {k: net for k, net in self.items() if not studies or net.study in studies}
        for number, (key, net) in enumerate(chosen.items()):
            cell_id = f"{key.replace(' ', '-')}-{number}"
            rows["studies"].append({"study": net.study, "cell_id": cell_id})
            for replicate in range(len(net.statuses)):
                place = {"cell_id": cell_id, "replicate": replicate}
                rows["cells"].append({**place, **_cell(net, replicate)})
                rows["metrics"] += [{**place, **row} for row in _metrics(net, replicate)]
                rows["layers"] += [{**place, **row} for row in _layers(net, replicate)]
                rows["evidence"] += [
                    {**place, "quantity": name, "value": value * (1 + net.off(replicate))}
                    for name, value in net.evidence.items()
                ]
        frames = {
            name: pd.DataFrame(found) if found else pd.DataFrame(columns=EMPTY[name])
            for name, found in rows.items()
        }
        return Results(_cache=frames)


def _cell(net: Net, replicate: int) -> dict[str, Any]:
    usual = {"activation": "relu", "residual": False, "train_layers": "all", "init": "pytorch"}
    usual |= {"optimizer": "sgd", "lr": 0.01, "source": "mnist", "size": 28, "examples": "7/3"}
    usual["kernel"] = 5.0 if net.columns["arch"] == "cnn" else np.nan
    ended = {"status": net.statuses[replicate], "mse": net.train_mse}
    return {**usual, **net.columns, **ended, "steps": net.steps, "restarts": net.restarts}


def _metrics(net: Net, replicate: int) -> list[dict[str, Any]]:
    own = net.columns.get("size", 28)
    probes = [("train", np.nan, own), ("blend", np.nan, own)]
    probes += [(kind, np.nan, size) for kind in NAMED for size in (own, *net.sizes)]
    examples = net.columns.get("examples", "7/3")
    single = examples != "all" and " " not in examples
    probes += [("correlated", rho, own) for rho in net.rho if single]
    rows = []
    for kind, rho, size in probes:
        told = 1.0 if kind == "train" else 0.3 if np.isnan(rho) else rho
        close = dict(zip(("identity", "constant"), net.does(told, size), strict=True))
        for reference in close if single else ["identity"]:
            still = net.tilted and reference == "constant"
            value = close[reference] + (0.0 if still else net.off(replicate))
            error = net.error(value)
            probe = {"probe": f"{kind} {rho}", "kind": kind, "rho": rho, "size": size}
            measured = {"reference": reference, "correlation": value, "mse": error}
            rows.append({**probe, **measured})
    return rows


def _layers(net: Net, replicate: int) -> list[dict[str, Any]]:
    rows = []
    for what, values in net.layers.items():
        quantity, state = what.split()
        first = 1 if quantity == "distance" else 0
        for layer, value in enumerate(values, first):
            value *= 1 + net.off(replicate)
            place = {"layer": layer, "state": state, "quantity": quantity}
            rows.append({**place, "value": value})
    return rows


def paper() -> World:
    """Everything as the paper has it."""
    world = World()
    _fully_connected(world)
    _convolutional(world)
    _other_training(world)
    _other_images(world)
    _theorems(world)
    return world


def _fully_connected(world: World) -> None:
    for depth, k in {1: 0.0, 2: 0.3, 4: 0.8, 10: 0.95, 12: 0.96}.items():
        net = world.add(f"fcn_relu_depth {depth}", pull(k), "fcn", depth, 2048)
        net.layers["distance trained"] = [0.001] * min(depth, 5) + [0.3] * (depth - 5)
    for width in (784, 2048):
        for depth, k in {1: 0.0, 2: 0.05, 4: 0.3, 10: 0.9}.items():
            key = f"fcn_linear_depth {depth} {width}"
            world.add(key, pull(k), "fcn", depth, width, activation="linear")
    for layers, k in {"bottom": 0.0, "all": 0.5}.items():
        world.add(f"fcn_two_layer {layers}", pull(k), "fcn", 2, 2048, train_layers=layers)
    for depth, q in {2: 0.95, 4: 0.9, 10: 0.8}.items():
        world.add(f"fcn_residual {depth}", identity(q), "fcn", depth, 784, residual=True)


def _convolutional(world: World) -> None:
    maps = {depth: identity() for depth in (1, 3, 5, 7)} | {14: neither, 20: constant()}
    for depth, does in maps.items():
        net = world.add(f"cnn_depth {depth}", does, "cnn", depth, 128)
        net.sizes = (7, 14, 56, 112)
        net.layers["distance trained"] = [0.5 if depth < 14 else 0.05] * (depth - 1) + [2.0]
        net.layers["error_rate trained"] = [0.2, *np.linspace(0.3, 0.5, depth - 1), 0.25]
    five, twenty = world["cnn_depth 5"], world["cnn_depth 20"]
    five.does = at_sizes({7: (0.5, 0.5)}, identity())
    twenty.does = at_sizes({7: (0.2, 0.3), 112: (0.2, 0.3)}, constant())
    lost = [0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85] + [0.88] * 14
    twenty.layers |= {"error_rate untrained": lost, "chance untrained": [0.9]}
    twenty.evidence["upper10"] = 0.9
    for kernel, sharpness in {5: 1.0, 29: 0.5, 57: 0.3}.items():
        does = constant() if kernel == 57 else identity()
        net = world.add(f"cnn_kernel {kernel}", does, "cnn", 5, 128, kernel=float(kernel))
        net.evidence["sharpness"] = sharpness
    for width, does in {3: neither, 128: identity(), 1024: identity()}.items():
        world.add(f"cnn_channels 5 {width}", does, "cnn", 5, width)
    world.add("cnn_channels 20 1024", constant(), "cnn", 20, 1024)
    for depth in (3, 5, 8, 9, 12, 20):
        net = world.add(f"cnn_narrow_depth {depth}", neither, "cnn", depth, 3)
        if depth > 8:
            net.statuses, net.train_mse = ["dead"] * 3, 0.5
    for size, q, depth in ((7, 0.9, 3), (7, 0.9, 10), (28, 0.4, 3), (28, 0.4, 10)):
        world.add(f"cnn_image_size {size} {depth}", constant(q), "cnn", depth, 128, size=size)


def _other_training(world: World) -> None:
    xavier, kaiming = (
        [f"{name}_{kind}" for kind in ("normal", "uniform")] for name in ("xavier", "kaiming")
    )
    for init in ["pytorch", "orthogonal", *xavier, *kaiming]:
        q = 0.8 if init in kaiming else 0.95
        world.add(f"cnn_init 3 {init}", identity(q), "cnn", 3, 128, init=init)
        world.add(f"cnn_init 20 {init}", constant(), "cnn", 20, 128, init=init)
    found = {"sgd": constant(), "adam": identity(), "adamax": neither}
    for name, does in found.items():
        world.add(f"cnn_optimizer 3 {name}", identity(), "cnn", 3, 128, optimizer=name)
        world.add(f"cnn_optimizer 10 {name}", does, "cnn", 10, 128, optimizer=name)


def _other_images(world: World) -> None:
    for image in ("3/0", "0/0"):
        for depth, does in {5: identity(), 20: constant()}.items():
            world.add(f"cnn_other_image {depth} {image}", does, "cnn", depth, 128, examples=image)
    for images in ("7/3 4/0", "7/3 4/0 0/0"):
        for arch, depth, width in (("fcn", 10, 2048), ("cnn", 20, 128)):
            key = f"few_examples {arch} {images}"
            net = world.add(key, neither, arch, depth, width, examples=images)
            net.evidence["mixture"] = 0.95
    every = {("fcn", 1): 0.3, ("fcn", 10): 0.4, ("cnn", 20): 0.95, ("cnn", 24): 0.95}
    for (arch, depth), q in every.items():
        width = 128 if arch == "cnn" else 2048
        key = f"all_examples {arch} {depth}"
        world.add(key, identity(q), arch, depth, width, examples="all").train_mse = 0.05
    for image in ("5/0", "0/0"):
        about = {"source": "cifar10", "size": 32, "examples": image}
        for depth, does in {1: noise, 10: constant()}.items():
            world.add(f"colour fcn {depth} {image}", does, "fcn", depth, 3072, **about)
        for depth, does in {3: identity(), 5: identity(), 20: constant()}.items():
            world.add(f"colour cnn {depth} {image}", does, "cnn", depth, 128, **about)


def _theorems(world: World) -> None:
    world.add("theorem1", noise, "fcn", 1, 2048, activation="linear")
    world["theorem1"].evidence["theorem1_deviation"] = 1e-5
    for kernel, free, error in ((3, 0.0, 1e-12), (5, 5.0, 0.1), (9, 40.0, 0.5)):
        about = {"kernel": float(kernel), "size": 8, "activation": "linear"}
        net = world.add(f"theorem2 {kernel}", identity(), "cnn", 1, 128, **about)
        net.error = lambda close, error=error: error * (1 + 0.1 * close)
        net.evidence |= {"null_dimension": free, "bound": 10 * free}


def planned(plan: Plan) -> World:
    """Every cell of a plan, trained and looked at, whatever it learnt."""
    world = World()
    depth = {"cnn_depth", "fcn_relu_depth", "fcn_linear_depth"}
    for study, cells in plan.studies.items():
        for cell in cells:
            net = Net(study, pull(0.3), column_values(cell), ["converged"] * cell.replicates)
            net.rho, net.sizes = (0.0, 0.5, 1.0), tuple(plan.config.probes.sizes)
            layers = cell.net.depth
            if study in depth:
                net.layers["distance trained"] = [0.1] * layers
            if study == "cnn_depth":
                net.layers["error_rate trained"] = [0.1] * (layers + 1)
                if layers == 20:
                    net.layers["error_rate untrained"] = [0.1] * (layers + 1)
                    net.layers["chance untrained"] = [0.9]
            names = ("theorem1_deviation", "bound", "sharpness", "mixture", "upper10")
            free = max(0.0, column_values(cell)["kernel"] ** 2 - 64) if study == "theorem2" else 0.0
            net.evidence = {**dict.fromkeys(names, 0.1), "null_dimension": free}
            net.error = lambda close, free=free: 2 - close + free
            world[f"{study} {cell.cell_id}"] = net
    return world
