"""Draw one probe set."""

from idpipe.workflow.session.worker import hand_over

hand_over()

import json
from pathlib import Path

from idpipe.cells import DataSpec
from idpipe.config import ProbeSpec
from idpipe.images import probes
from idpipe.workflow.session.logs import job

with job("probes", snakemake.log[0]):
    target = json.loads(snakemake.params.target)
    probes.build(
        DataSpec.model_validate(target["data"]),
        ProbeSpec.model_validate(target["probes"]),
        target["replicates"],
        Path(snakemake.input.source).parent,
        Path(snakemake.input.out_of_domain).parent,
    ).save(Path(snakemake.output[0]))
