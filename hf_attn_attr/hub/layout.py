"""Names of the files of a model's folder or repository."""

from ..influence.storage import FOLDER as INFLUENCE

CARD, CONFIG = "README.md", "config.json"
TRAINING, EVALUATION, REPORT = "training.json", "evaluation.json", "report.html"

__all__ = ["CARD", "CONFIG", "EVALUATION", "INFLUENCE", "REPORT", "TRAINING"]
