"""`idpipe doctor` on this machine, and on machines where something is amiss."""

import os
import shlex
import socket
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from disks import mounted
from PIL import Image
from torchvision import datasets

from idpipe.cli import main
from idpipe.images.sources.torchvision_sets import OFFICIAL_MNIST
from idpipe.workflow import doctor, project
from idpipe.workflow.doctor import Finding

CONFIG = {
    "run": "tiny",
    "defaults": {"replicates": 1, "max_steps": 20},
    "studies": {"a": {"base": {"net": {"arch": "fcn", "width": 5, "depth": 2}}}},
}
STOCK = ("mnist", "fashion_mnist", "cifar10")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a project, of one tiny cell."""
    project.lay_down(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IDPIPE_DATA", raising=False)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return tmp_path


def found(*settings: str) -> dict[str, Finding]:
    """All findings by name; nothing is asked of the network."""
    return {f.name: f for f in doctor.findings([], ["data.download=false", *settings])}


def test_a_machine_that_can_run_is_told_so(folder, capsys):
    main(["doctor", "--set", "data.download=false"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "All that a run needs is there."
    assert all(line[:6] in ("ok    ", "note  ") for line in lines[:-1])
    told = {line[6:19].strip(): line for line in lines[:-1]}
    assert told["configuration"].endswith("run tiny: 1 studies, 1 cells")
    usable = len(os.sched_getaffinity(0))
    assert told["CPU"].endswith(f"{usable} of {os.cpu_count()} threads usable: --cores {usable}")
    assert {"python", "packages", "folder", "GPU", "memory", "disk", "images", "SLURM"} < set(told)
    assert all(name in told for name in STOCK)


def test_what_fails_is_named_at_the_end_and_exits_with_1(folder, capsys):
    (folder / "Snakefile").unlink()
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--set", "data.source=mnist", "--set", "data.download=false"])
    assert str(ended.value).endswith("before this is mended: folder, mnist, fashion_mnist")
    failing = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert len(failing) == 3
    assert "has no Snakefile: go to the folder of the Snakefile" in failing[0]


def test_outside_a_project_the_configuration_is_amiss_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--set", "data.download=false"])
    named = "folder, configuration"
    assert str(ended.value) == f"idpipe: no run works here before this is mended: {named}"
    assert "FAIL  configuration  refused: config.yaml: cannot be read" in capsys.readouterr().out


def test_a_refused_configuration_is_one_line(folder):
    refused = found("probes.n_per_rho=-1", "limits.nothing=1")["configuration"]
    assert refused.mark == "FAIL"
    assert "n_per_rho = -1" in refused.line() and "and 1 more" in refused.line()
    assert "\n" not in refused.line()


def distribution(folder: Path, name: str, version: str, *told: str) -> None:
    """What an installed package says of itself."""
    path = folder / f"{name}-{version}.dist-info"
    path.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *told]
    (path / "METADATA").write_text("\n".join([*lines, ""]))


class TestPackages:
    def test_another_version_and_a_missing_package_are_named(self, tmp_path, monkeypatch):
        needs = ["pandas>=3,<4", f"numpy>={version('numpy')}", "no-such-package"]
        told = [f"Requires-Dist: {need}" for need in [*needs, "none; extra=='x'"]]
        distribution(tmp_path, "pandas", "2.0")
        distribution(tmp_path, "idpipe", "9", "Requires-Python: >=3.99", *told)
        monkeypatch.syspath_prepend(tmp_path)
        packages = doctor.packages()
        assert packages.found == "pandas 2.0, not <4,>=3; no-such-package is missing"
        assert packages.mark == "FAIL" and "make clean-venv" in packages.line()
        assert doctor.python().mark == "FAIL" and "needs >=3.99" in doctor.python().line()


class TestMachine:
    def test_a_cell_too_large_for_the_memory(self, folder):
        vast = found("studies.a.base.net.width=100000000", "limits.memory_gib=100000")
        assert vast["memory"].mark == vast["disk"].mark == "FAIL"
        assert "net.width" in vast["memory"].advice
        assert "`results`" in vast["disk"].advice

    def test_free_memory_is_what_the_kernel_says(self):
        told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        total = int(told["MemTotal"].split()[0]) * 1024
        assert 0 < doctor.free_memory() <= total

    def test_a_small_and_a_read_only_disk(self, folder):
        (folder / "results").mkdir()
        code = "from idpipe.workflow.doctor import configuration, disk; "
        code += "print(disk(configuration([], ['data.download=false'])[0]).line())"
        ask = shlex.join([sys.executable, "-c", code])
        script = f"cd {shlex.quote(str(folder))}; mount -t tmpfs -o size=20m none results; {ask}; "
        script += f"umount results; mount -t tmpfs -o ro none results; {ask}"
        small, read_only = mounted(folder / "results", script).splitlines()
        assert small.startswith("FAIL  disk") and "0.0 GiB free at" in small
        assert read_only.startswith("FAIL  disk")
        assert "cannot be written (Read-only file system)" in read_only

    def test_cells_that_are_trained_need_no_more_room(self, folder):
        wide = "studies.a.base.net.width=100000"
        before = found(wide)["disk"].found
        (cell,) = doctor.load(doctor.read(["config.yaml"], [wide])).cells
        (folder / "results/cells" / cell).mkdir(parents=True)
        after = found(wide)["disk"].found
        assert before.endswith("takes about 1.1") and after.endswith("takes about 0.5")


class TestImages:
    @pytest.fixture(autouse=True)
    def mirrors(self, server, no_proxy, monkeypatch):
        """MNIST is served, Fashion-MNIST is away, CIFAR-10's server cannot be reached."""
        there, address = server
        (there / datasets.MNIST.resources[0][0].rpartition("/")[2]).write_text("packed")
        monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:1/", address])
        monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [f"{address}nowhere/"])
        monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:1/cifar.tar.gz")

    def ask(self, *settings: str) -> dict[str, Finding]:
        return {f.name: f for f in doctor.findings([], settings) if f.name in STOCK}

    def test_reachable_or_not(self, folder):
        told = self.ask()
        assert [told[name].mark for name in STOCK] == ["ok", "note", "note"]
        assert told["mnist"].found.endswith("can be downloaded")
        assert "cannot be downloaded (File not found)" in told["fashion_mnist"].found
        assert "cannot be downloaded (Connection refused)" in told["cifar10"].found

    def test_what_the_plan_reads_is_essential(self, folder):
        told = self.ask("data.source=mnist")
        assert [told[name].mark for name in STOCK] == ["ok", "FAIL", "note"]

    def test_found_where_torchvision_puts_them(self, folder, monkeypatch):
        raw = folder / "elsewhere/FashionMNIST/raw"
        raw.mkdir(parents=True)
        for name in OFFICIAL_MNIST:
            (raw / f"{name}.gz").touch()
        monkeypatch.setenv("IDPIPE_DATA", str(folder / "elsewhere"))
        assert self.ask()["fashion_mnist"].line().endswith(f"found in {folder / 'elsewhere'}")

    def test_prepared_before(self, folder):
        (folder / "results/data/cifar10").mkdir(parents=True)
        (folder / "results/data/cifar10/info.json").touch()
        assert self.ask()["cifar10"].line().endswith("prepared in results/data/cifar10")

    def test_a_silent_server_is_given_up(self, folder, monkeypatch):
        monkeypatch.setattr(doctor, "NETWORK_SECONDS", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            monkeypatch.setattr(datasets.CIFAR10, "url", address)
            assert "timed out" in self.ask()["cifar10"].found

    def test_images_of_the_user(self, folder):
        (folder / "mine").mkdir()
        Image.new("L", (30, 30), 100).save(folder / "mine/one.png")
        told = found("data.source=image_folder", "data.folder=mine")
        assert told["image_folder"].line().endswith("1 images in mine")


class TestSlurm:
    @pytest.fixture
    def sinfo(self, tmp_path, monkeypatch):
        """Make a script of that name the one command on PATH."""
        monkeypatch.setenv("PATH", str(tmp_path))

        def put(script: str) -> None:
            (tmp_path / "sinfo").write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / "sinfo").chmod(0o755)

        return put

    def test_partitions_none_or_a_failure_that_tells_its_last_line(self, sinfo):
        assert doctor.slurm().mark == "note"
        assert "no sinfo on PATH" in doctor.slurm().line()
        sinfo("echo gpu*; echo cpu")
        assert doctor.slurm().line().endswith("partitions gpu*, cpu")
        sinfo("echo first >&2; echo last >&2; exit 1")
        assert "sinfo fails (last)" in doctor.slurm().line()

    def test_no_plugin(self, sinfo, tmp_path, monkeypatch):
        sinfo("echo gpu")
        needs = "snakemake-executor-plugin-slurm>=999; extra == 'slurm'"
        distribution(tmp_path, "idpipe", "9", f"Requires-Dist: {needs}")
        monkeypatch.syspath_prepend(tmp_path)
        assert doctor.slurm().mark == "note"
        assert "pip install 'idpipe[slurm]'" in doctor.slurm().line()
