"""Train one cell."""

from idpipe.worker import hand_over

hand_over()

from pathlib import Path

from idpipe import jobs
from idpipe.cells import cell_from_json
from idpipe.logs import job
from idpipe.store import Layout

folder = Path(snakemake.output.spec).parent
goes_on = Layout(folder.parents[1]).checkpoint(folder.name).is_file()
with job("train", snakemake.log[0], append=goes_on) as show:
    cell = cell_from_json(snakemake.params.cell)
    jobs.train(cell, Path(snakemake.input[0]).parent, folder, show)
