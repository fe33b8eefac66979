"""Benchmarks that start Snakemake."""

import re
import shutil

import pytest

from benchmarks import explorer, workflow


class TestWorkflow:
    def test_a_plan_counts_its_jobs(self, tmp_path):
        taken = workflow.snakemake(tmp_path, workflow.grid(3), "--dry-run", "all_figures")
        # Two sources, their probes; two jobs a cell; the tables, table1, the scorecard and its
        # evidence, the provenance, the target.
        assert taken.jobs == 2 + 1 + 3 * 2 + 6
        assert taken.processor_seconds > 0.2
        assert taken.seconds > 0.1

    def test_a_run_of_files_that_are_there_has_nothing_to_do(self, tmp_path):
        taken = workflow.nothing_to_do(tmp_path, workflow.grid(1))
        assert taken.jobs == 0
        assert "train" not in taken.said

    def test_its_table(self):
        row = {"what": "dry run", "cells": 1000, "jobs": 2006, "seconds": 3.14}
        content = {
            "rows": [{**row, "processor_seconds": 2.72}],
            "job_processor_seconds": 0.241,
            "load": 3.7,
        }
        last = workflow.table(content).splitlines()[-1]
        assert re.sub(" +", " ", last) == "| dry run | 1,000 | 2,006 | 3.1 | 2.7 |"
        assert "0.24 processor seconds" in workflow.note(content)


@pytest.mark.long
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on PATH")
class TestExplorer:
    def test_a_made_up_run_is_opened(self):
        settings = workflow.grid(2)
        settings["studies"]["cnn_depth"] = {
            "base": {"net": {"arch": "cnn", "width": 2}},
            "axes": {"net.depth": [1, 3]},
        }
        content = explorer.measure(settings, 2, str(shutil.which("chromium")))
        (row,) = content["rows"]
        assert (row["run"], row["cells"], row["replicates"]) == ("grid", 4, 4)
        assert 1.4 < row["megabytes"] < 2
        assert 0 < row["opens"] <= row["slowest"] and 0 < row["at_cell"] <= row["slowest"]
        assert "| grid" in explorer.table(content) and "median of 2" in explorer.note(content)
