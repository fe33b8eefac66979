"""What a run says while it goes on, and at its end."""

import os

from snakemake_runs import snakemake, tiny

from idpipe.workflow.session import overview


def test_a_run_says_how_far_it_is_what_it_came_to_and_what_failed(tmp_path, monkeypatch):
    monkeypatch.setenv(overview.PROGRESS, "0.2")
    first = snakemake(tmp_path, tiny(), "fig03", "fig04").stderr
    assert " of 2 cells trained, " in first
    assert "2 cells trained (0 were there), 2 evaluated (0 were there), 2 figures drawn" in first
    assert "Results: results/tiny/figures" in first

    (tmp_path / "results/tiny/figures/fig03.png").unlink()
    again = snakemake(tmp_path, tiny(), "fig03", "fig04").stderr
    assert "0 cells trained (2 were there), 0 evaluated (2 were there), 1 figures drawn" in again

    (metrics, *_) = tmp_path.glob("results/cells/*/eval-*/metrics.parquet")
    metrics.unlink()
    (tmp_path / "results/tiny/figures/fig03.png").unlink()
    weights = metrics.parents[1] / "weights.safetensors"
    at = weights.stat().st_mtime_ns
    weights.write_bytes(weights.read_bytes()[:100])
    os.utime(weights, ns=(at, at))
    failed = snakemake(tmp_path, tiny(), "fig03")
    assert failed.returncode != 0
    assert f"Failed: evaluate {weights.parent.name}. The same command goes on" in failed.stderr
