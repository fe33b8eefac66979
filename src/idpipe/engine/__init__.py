"""Engine: all replicates of a cell trained together, kept and gone on with, on a CPU or a GPU."""

from idpipe.engine.checkpoints import Checkpoint
from idpipe.engine.minibatches import Minibatches
from idpipe.engine.optim import RULES, Optimizer, stage_factor
from idpipe.engine.outcomes import History, Outcome, State
from idpipe.engine.progress import Progress
from idpipe.engine.replay import WARM, Repeated, Steps
from idpipe.engine.stack import Stack
from idpipe.engine.training import Trained, Training, train
from idpipe.engine.tuning import Choices

__all__ = [
    "RULES",
    "WARM",
    "Checkpoint",
    "Choices",
    "History",
    "Minibatches",
    "Optimizer",
    "Outcome",
    "Progress",
    "Repeated",
    "Stack",
    "State",
    "Steps",
    "Trained",
    "Training",
    "stage_factor",
    "train",
]
