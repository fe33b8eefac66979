"""Jobs of a run on GPUs that are made up."""

import re

from snakemake_runs import snakemake, tiny

from idpipe import costs
from idpipe.config import load


def test_training_jobs_of_a_run_share_the_gpus(tmp_path, monkeypatch):
    monkeypatch.setenv("IDPIPE_GPUS", "750,750")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = snakemake(tmp_path, tiny(), "fig03", "fig02", "--cores", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    logs = [log.read_text() for log in (tmp_path / "results/logs/train").glob("*.log")]
    on = [re.search(r"computes on GPU (\d), (\d+) MiB", log) for log in logs]
    assert len(on) == 6 and all(on)
    assert {found[1] for found in on} == {"0", "1"}
    planned = {costs.vram_mib(cell) for cell in load(tiny()).cells.values()}
    assert {int(found[2]) for found in on} <= planned
    (folder,) = tmp_path.glob("idpipe-gpus-*")
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["lock"]
