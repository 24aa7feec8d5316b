"""Tasks: what is learnt from labels. A task is a file with its config and its module."""

from typing import TYPE_CHECKING

from mien.lazy import lazy

if TYPE_CHECKING:
    from mien.tasks.classify import Classifier as Classifier
    from mien.tasks.classify import ClassifyConfig as ClassifyConfig
    from mien.tasks.regress import RegressConfig as RegressConfig
    from mien.tasks.regress import Regressor as Regressor
    from mien.tasks.sequence import SequenceConfig as SequenceConfig
    from mien.tasks.sequence import SequenceStream as SequenceStream
    from mien.tasks.sequence import SequenceTask as SequenceTask
    from mien.tasks.table import TaskConfig as TaskConfig

__getattr__ = lazy(
    __name__,
    table="TaskConfig",
    classify="Classifier ClassifyConfig",
    regress="Regressor RegressConfig",
    sequence="SequenceConfig SequenceStream SequenceTask",
)
