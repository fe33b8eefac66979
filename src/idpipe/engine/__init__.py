"""Engine: all replicates of a cell trained together, kept and gone on with, on a CPU or a GPU."""

from idpipe.engine.checkpoints import Checkpoint
from idpipe.engine.optim import RULES, StackedOptimizer
from idpipe.engine.outcomes import History, Outcome, State
from idpipe.engine.progress import Progress
from idpipe.engine.replay import WARM, Repeated
from idpipe.engine.training import Trained, Training, train
from idpipe.engine.tuning import Choices

__all__ = [
    "RULES",
    "WARM",
    "Checkpoint",
    "Choices",
    "History",
    "Outcome",
    "Progress",
    "Repeated",
    "StackedOptimizer",
    "State",
    "Trained",
    "Training",
    "train",
]
