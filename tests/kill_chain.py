"""Trains a cell in children that are killed at random moments, until one ends by itself.

Run as a script: `kill_chain.py CELL_JSON SOURCE FOLDER SEED LONGEST`. One process imports torch and
forks all children; a worker's environment leaves it one thread. Prints how many
were killed.
"""

import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from idpipe.cells import cell_from_json
from idpipe.engine import checkpoints
from idpipe.workflow import jobs

LOG = "said.txt"


def child(cell_file: Path, source: Path, folder: Path) -> None:
    """Train, saving half of the time, so that many kills strike while a file is written."""
    checkpoints.SHARE = 0.5
    with open(folder.parent.parent / LOG, "a", buffering=1) as log:
        try:
            cell = cell_from_json(cell_file.read_text())
            jobs.train(cell, source, folder, lambda line: print(line, file=log), 0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os._exit(0)


def main() -> None:
    cell_file, source, folder, seed, longest = sys.argv[1:]
    chance, kills, most = random.Random(int(seed)), 0, float(longest)
    while True:
        assert len(os.listdir("/proc/self/task")) == 1, "a child would lack a thread"
        number = os.fork()
        if number == 0:
            child(Path(cell_file), Path(source), Path(folder))
        time.sleep(chance.uniform(0, most))
        os.kill(number, signal.SIGKILL)
        _, status = os.waitpid(number, 0)
        if not os.WIFSIGNALED(status):
            print(kills)
            sys.exit(os.waitstatus_to_exitcode(status))
        kills, most = kills + 1, most * 1.02  # or the slowest machine would never end


if __name__ == "__main__":
    main()
