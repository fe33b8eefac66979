"""The layer-wise classifier of Fig. 5 by class sums, and by all pairs as one would write it down.

Both classify the same images by every layer of the same CNN, a fifth as many test images as
training images, each in a process of its own, whose memory above that of the set-up is its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks import tables, timing
from benchmarks.networks import measured_cell
from benchmarks.timing import Options
from idpipe import evaluate, nets
from idpipe.cells import IMAGES_AT_ONCE, Cell
from idpipe.images import standardize
from idpipe.images.sources import Split
from idpipe.nets import Params

ROOT = Path(__file__).parents[1]
IMAGES = (250, 500, 1000, 2000, 4000)
DEPTH, WIDTH, CLASSES = 3, 8, 10
KINDS = ("class sums", "all pairs")


def measure(options: Options) -> dict[str, Any]:
    """Time and memory of both over the number of training images, on the CPU."""
    numbers = options.images or (IMAGES[:2] if options.quick else IMAGES)
    rows = [{"images": number, **_both(number, options.repeats)} for number in numbers]
    exponents = {
        kind: {
            quantity: timing.exponent(numbers, [row[kind][quantity] for row in rows])
            for quantity in ("seconds", "mebibytes")
        }
        for kind in KINDS
    }
    return {"rows": rows, "exponents": exponents}


def _both(images: int, repeats: int) -> dict[str, Any]:
    found = {kind: _child(kind, images, repeats) for kind in KINDS}
    one, other = (found[kind].pop("errors") for kind in KINDS)
    print(f"{images} training images: {found}", flush=True)
    return {**found, "same_errors": one == other}


def _child(kind: str, images: int, repeats: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.classifier", kind, str(images), str(repeats)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def all_pairs(cell: Cell, params: Params, train: Split, test: Split) -> np.ndarray:
    """Error rate of each layer from the matrix of all inner products."""
    known, asked = (_representations(cell, params, split) for split in (train, test))
    hot = F.one_hot(torch.from_numpy(train.labels), CLASSES).double()
    labels = torch.from_numpy(test.labels)
    rates = []
    for phi_train, phi_test in zip(known, asked, strict=True):
        scores = phi_test @ phi_train.T @ hot
        rates.append((scores.argmax(1) != labels).double().mean().item())
    return np.array(rates)


def _representations(cell: Cell, params: Params, split: Split) -> list[Tensor]:
    """Every layer's outputs on all images, the input first, [n, f] in float64."""
    batches = []
    for images in np.array_split(split.images, max(1, len(split.images) // IMAGES_AT_ONCE)):
        x = torch.from_numpy(standardize(images, cell.data))[None]
        outputs = [x, *nets.layers(cell.net, params, x)]
        batches.append([output[0].flatten(1).double() for output in outputs])
    return [torch.cat(parts) for parts in zip(*batches, strict=True)]


def class_sums(cell: Cell, params: Params, train: Split, test: Split) -> np.ndarray:
    """Error rate of each layer as idpipe finds it."""
    rates: np.ndarray = evaluate.error_rates(cell, params, train, test)[0]
    return rates


WAYS: dict[str, Callable[[Cell, Params, Split, Split], np.ndarray]] = dict(
    zip(KINDS, (class_sums, all_pairs), strict=True)
)


def _made_up(number: int, seed: int) -> Split:
    """Noisy images of ten classes."""
    generator = np.random.default_rng(seed)
    means = np.random.default_rng(0).integers(0, 128, (CLASSES, 1, 28, 28))
    labels = generator.integers(0, CLASSES, number)
    noise = generator.integers(0, 128, (number, 1, 28, 28))
    return Split((means[labels] + noise).astype(np.uint8), labels)


@torch.no_grad()
def _alone(kind: str, images: int, repeats: int) -> dict[str, Any]:
    """What one way needs, in this process."""
    torch.set_num_threads(1)
    cell = measured_cell("cnn", DEPTH, WIDTH)
    params = nets.initial_params(cell, [0])
    train, test = _made_up(images, 1), _made_up(images // 5, 2)
    WAYS[kind](cell, params, *(Split(s.images[:10], s.labels[:10]) for s in (train, test)))
    errors: list[np.ndarray] = []

    def work(steps: int) -> int:
        for _ in range(steps):
            errors.append(WAYS[kind](cell, params, train, test))
        return steps

    before = _restart_peak()
    seconds = [timing.seconds_a_step(work, 1, torch.device("cpu")) for _ in range(repeats)]
    return {
        "seconds": timing.Spread.of(seconds).median,
        "mebibytes": (_memory("VmHWM") - before) / 2**20,
        "errors": errors[0].tolist(),
    }


def _restart_peak() -> int:
    """Let the peak start from what is in use now, and say what that is, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmHWM")


def _memory(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}")


HEAD = (
    "training images",
    "class sums",
    "all pairs",
    "times as fast",
    "memory of class sums",
    "of all pairs",
)


def table(content: dict[str, Any]) -> str:
    """Time and memory over the number of training images, and how they grow."""
    rows = [_columns(row) for row in content["rows"]]
    if len(rows) > 1:
        ours, theirs = (content["exponents"][kind] for kind in KINDS)
        rows.append(
            [
                "grows as n to the",
                f"{ours['seconds']:.2f}",
                f"{theirs['seconds']:.2f}",
                "",
                f"{ours['mebibytes']:.2f}",
                f"{theirs['mebibytes']:.2f}",
            ]
        )
    return tables.markdown(HEAD, rows)


def note(content: dict[str, Any]) -> str:
    same = all(row["same_errors"] for row in content["rows"])
    return "both find the same error rates" if same else "the error rates differ"


def _columns(row: dict[str, Any]) -> list[str]:
    ours, theirs = (row[kind] for kind in KINDS)
    return [
        f"{row['images']:,}",
        f"{ours['seconds']:.2f} s",
        f"{theirs['seconds']:.2f} s",
        f"{theirs['seconds'] / ours['seconds']:.1f}",
        f"{ours['mebibytes']:,.0f} MiB",
        f"{theirs['mebibytes']:,.0f} MiB",
    ]


if __name__ == "__main__":
    print(json.dumps(_alone(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
