"""Train one cell."""

from idpipe.workflow.session.worker import hand_over

hand_over()

from pathlib import Path

from idpipe.cells import cell_from_json
from idpipe.workflow import jobs
from idpipe.workflow.session.logs import job

with job("train", snakemake.log[0]) as show:
    cell = cell_from_json(snakemake.params.cell)
    jobs.train(
        cell,
        Path(snakemake.input[0]).parent,
        Path(snakemake.output.spec).parent,
        show,
        vram_mib=snakemake.resources.vram_mb,
    )
