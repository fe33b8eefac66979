"""Look at the layers of one cell."""

from idpipe.workflow.session.worker import hand_over

hand_over()

from pathlib import Path

from idpipe.workflow import jobs
from idpipe.workflow.session.logs import job

with job("layers", snakemake.log[0]):
    jobs.analyse(
        Path(snakemake.input.spec).parent,
        Path(snakemake.input.probes),
        Path(snakemake.output.table).parent,
    )
