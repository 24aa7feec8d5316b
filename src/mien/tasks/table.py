"""Every task a model folder may hold. A new one is a file, and a name here."""

from mien.tasks.classify import ClassifyConfig
from mien.tasks.movements import MovementsConfig
from mien.tasks.regress import RegressConfig
from mien.tasks.sequence import SequenceConfig

TaskConfig = ClassifyConfig | RegressConfig | SequenceConfig | MovementsConfig
