"""Names of the files of a model's folder or repository."""

from ..influence.storage import FOLDER as INFLUENCE
from ..influence.storage import TABLE

CARD, CONFIG = "README.md", "config.json"
TRAINING, EVALUATION, REPORT = "training.json", "evaluation.json", "report.html"
PICTURE = "influence.png"

__all__ = ["CARD", "CONFIG", "EVALUATION", "INFLUENCE", "PICTURE", "REPORT", "TABLE", "TRAINING"]
