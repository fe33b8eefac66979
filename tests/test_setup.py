"""pyproject.toml, requirements.lock, environment.yml and the Makefile tell one story."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
LOCK = (ROOT / "requirements.lock").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()

EXTRAS = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
DIRECT = [Requirement(line) for line in [*PROJECT["dependencies"], *EXTRAS, *BUILD]]
# Every line of a lock is one of these two: no other form can hide a URL, a host or an option.
PIN_LINE = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; [a-zA-Z0-9_ .*=<>!'()]+)? \\")
HASH_LINE = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def pins(name: str) -> list[Requirement]:
    """The lock's hashed entries for one package, a marker telling them apart if there are more."""
    found = re.findall(r"^(\S+==.+?) \\\n    --hash=sha256:", LOCK, flags=re.MULTILINE)
    return [pin for pin in map(Requirement, found) if pin.name == canonicalize_name(name)]


def python_floor(spec: SpecifierSet) -> list[str]:
    return [part.version for part in spec if part.operator == ">="]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_direct_dependency_is_locked_once_within_its_range(python):
    here = {"python_version": python, "python_full_version": f"{python}.0"}
    for wanted in DIRECT:
        found = pins(wanted.name)
        applicable = [pin for pin in found if pin.marker is None or pin.marker.evaluate(here)]
        assert len(applicable) == 1, wanted
        (exact,) = applicable[0].specifier
        assert exact.operator == "==", wanted
        assert wanted.specifier.contains(exact.version), wanted


def test_the_lock_holds_only_exact_versions_and_hashes():
    other = [line for line in LOCK.splitlines() if not PIN_LINE.fullmatch(line)]
    assert [line for line in other if not HASH_LINE.fullmatch(line)] == []


def test_every_locked_version_has_a_hash():
    lines = LOCK.splitlines()
    pinned = [after for line, after in zip(lines, [*lines[1:], ""], strict=True) if "==" in line]
    assert pinned and [after for after in pinned if not HASH_LINE.fullmatch(after)] == []


def test_conda_installs_the_lock_and_no_versions_of_its_own():
    mappings = [entry for entry in CONDA if isinstance(entry, dict)]
    assert mappings == [{"pip": ["-r requirements.lock"]}]
    names = {Requirement(entry).name for entry in CONDA if isinstance(entry, str)}
    assert names == {"python", "pip"}


def test_one_python_floor_everywhere():
    (conda,) = [Requirement(e) for e in CONDA if isinstance(e, str) and e.startswith("python")]
    floor = python_floor(SpecifierSet(PROJECT["requires-python"]))
    assert len(floor) == 1
    assert python_floor(conda.specifier) == floor
    assert re.findall(r"--python-version (\S+)", MAKEFILE) == floor
    checked = re.findall(r"sys\.version_info < \((\d+), (\d+)\)", MAKEFILE)
    assert [".".join(pair) for pair in checked] == floor


def test_the_makefile_pins_what_the_lock_holds():
    (line,) = re.findall(r"^PINS := (.+)$", MAKEFILE, flags=re.MULTILINE)
    for pin in map(Requirement, line.split()):
        assert [locked.specifier for locked in pins(pin.name)] == [pin.specifier]


# A stand-in for python that logs its arguments, "creates" environments, and on request fails.
FAKE_PYTHON = """#!/bin/sh
echo "$*" >> python.log
if [ -n "$FAIL" ]; then case "$*" in *"$FAIL"*) exit 1;; esac; fi
if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi
"""
STAMP = ".venv/.installed"


class Checkout:
    """A copy of the set-up files in which `make` runs with the stand-in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("Makefile", "requirements.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, path)
        (path / "python").write_text(FAKE_PYTHON)
        (path / "python").chmod(0o755)

    def make(self, *args: str, fail: str = "") -> subprocess.CompletedProcess[str]:
        # Variables of an outer `make test ARGS=...` must not reach this one.
        outer = [name for name in os.environ if name.startswith(("MAKE", "MFL"))]
        env = {k: v for k, v in os.environ.items() if k not in outer} | {"FAIL": fail}
        line = ["make", "PYTHON=./python", *args]
        return subprocess.run(line, cwd=self.path, env=env, capture_output=True, text=True)

    def installs(self) -> int:
        """How many times the lock was installed so far."""
        log = self.path / "python.log"
        return log.read_text().count("--requirement requirements.lock") if log.exists() else 0


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def test_a_second_call_installs_nothing(checkout):
    assert checkout.make(STAMP).returncode == 0
    assert checkout.make("--question", STAMP).returncode == 0
    again = checkout.make("-n", "test").stdout
    assert "pytest" in again and "-m pip" not in again and "-m venv" not in again


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_dependency_file_installs_again_in_place(checkout, name):
    checkout.make(STAMP)
    kept = checkout.path / ".venv" / "kept"
    kept.touch()
    later = (checkout.path / STAMP).stat().st_mtime + 10
    os.utime(checkout.path / name, (later, later))
    assert "-m pip" in checkout.make("-n", "test").stdout
    checkout.make(STAMP)
    assert checkout.installs() == 2
    assert kept.exists()


@pytest.mark.parametrize("step", ["-m venv", "--requirement requirements.lock", "--editable ."])
def test_an_interrupted_install_starts_over(checkout, step):
    assert checkout.make(STAMP, fail=step).returncode != 0
    assert not (checkout.path / STAMP).exists()
    damaged = checkout.path / ".venv" / "damaged"
    damaged.touch()
    assert checkout.make(STAMP).returncode == 0
    assert not damaged.exists()
    assert checkout.make("--question", STAMP).returncode == 0


def test_a_failed_update_is_not_taken_for_installed(checkout):
    checkout.make(STAMP)
    later = (checkout.path / STAMP).stat().st_mtime + 10
    os.utime(checkout.path / "requirements.lock", (later, later))
    assert checkout.make(STAMP, fail="--requirement requirements.lock").returncode != 0
    assert not (checkout.path / STAMP).exists()


def test_two_calls_at_once_do_not_share_one_install(checkout):
    busy = checkout.path / ".venv" / ".installing"
    busy.parent.mkdir()
    busy.write_text(f"{os.getpid()}\n")
    second = checkout.make(STAMP)
    assert second.returncode != 0
    assert str(os.getpid()) in second.stderr
    assert busy.exists()
    assert checkout.installs() == 0


@pytest.mark.parametrize(
    ("fail", "advice"), [("version_info", "make PYTHON="), ("ensurepip", "python3-venv")]
)
def test_an_unfit_python_is_refused_with_advice(checkout, fail, advice):
    refused = checkout.make(STAMP, fail=fail)
    assert refused.returncode != 0
    assert advice in refused.stderr
    assert not (checkout.path / ".venv").exists()
