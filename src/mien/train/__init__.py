"""Training: an experiment as a value, the loop, and the folder of a run."""

from typing import TYPE_CHECKING

from mien.lazy import lazy

if TYPE_CHECKING:
    from mien.train.experiment import Experiment as Experiment
    from mien.train.loop import TrainConfig as TrainConfig
    from mien.train.optim import OptimConfig as OptimConfig

__getattr__ = lazy(
    __name__,
    experiment="Experiment",
    optim="OptimConfig",
    loop="TrainConfig",
)
