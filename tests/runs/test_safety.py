"""Names like commands, in real runs."""

import shutil
import subprocess

from image_sets import write_idx
from snakemake_runs import REPOSITORY, command, snakemake
from test_safety import CNN, TINY


def test_snakemake_refuses_such_a_study_before_any_job(tmp_path):
    result = snakemake(tmp_path, {**TINY, "studies": {"a; touch x": CNN}}, "all_figures")
    said = result.stdout + result.stderr
    assert result.returncode != 0 and "a; touch x" in said and "Traceback" not in said
    assert not (tmp_path / "results").exists() and not (tmp_path / "x").exists()


def test_folders_with_spaces_and_commands_in_their_names(tmp_path):
    """The project's, the images' and the results': none reaches a shell unquoted."""
    project = tmp_path / "my project; touch ran & $(touch ran) `touch ran`"
    project.mkdir()
    for name in ("Snakefile", "workflow", "src", "config", "profiles"):
        source = REPOSITORY / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, project / name)
    write_idx(project / "data sets; touch ran")
    settings = {
        **TINY,
        "results": "my results; touch ran",
        "data": {"source": "mnist", "root": "data sets; touch ran", "download": False},
        "probes": {**TINY["probes"], "out_of_domain_source": "photos"},
    }
    how = command(project, settings, "fig03", "fig04")
    how["args"][how["args"].index("--snakefile") + 1] = str(project / "Snakefile")
    how["env"]["PYTHONPATH"] = str(project / "src")
    result = subprocess.run(**how, cwd=project, capture_output=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (project / "my results; touch ran/tiny/figures/fig03.png").is_file()
    assert not list(tmp_path.rglob("ran"))
