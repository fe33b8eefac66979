"""Snakemake's command line, in a fork of a process that has imported it, if there is one."""

import json
import os
import sys

from idpipe.workflow.session.worker import ADDRESS, hand_over

# A script that is handed over takes its environment along, and no arguments.
given = {"arguments": sys.argv[1:], "worker": os.environ.get(ADDRESS)}
os.environ.setdefault("WARM_SNAKEMAKE", json.dumps(given))
hand_over()

given = json.loads(os.environ.pop("WARM_SNAKEMAKE"))
if given["worker"] is not None:
    os.environ[ADDRESS] = given["worker"]

from snakemake.cli import main  # noqa: E402

main(given["arguments"])
