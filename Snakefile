"""Table of contents: what can be asked for, and where the rules are."""

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/session.smk"


rule all_figures:
    default_target: True
    input:
        all_figure_files(),
        [
            TABLES / f"{table}.parquet"
            for table in ["cells", "studies", "metrics", "history", "layers"]
        ],
        TARGETS.scorecard_files,
        PROVENANCE,


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/collect.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/scorecard.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/explorer.smk"
