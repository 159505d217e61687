"""Renders the example cards from real runs on real data.

python model_cards/render.py --data FOLDER --work runs

Trains what is not in --work yet. A card holds figures and single words, no texts.
"""

import argparse
import shutil
from pathlib import Path

from hf_attn_attr import InfluenceMatrix, TrainingSettings
from hf_attn_attr.hub import folder_card
from hf_attn_attr.report import save_picture
from hf_attn_attr.workflow import run

HERE = Path(__file__).parent
# The name of the example, and what its files are called.
EXAMPLES = {"emotion": "emotion"}


def main() -> None:
    """Train where needed, then write README.md and the picture of each example."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    options.add_argument("--work", type=Path, default=Path("runs"), help="folder for models")
    options.add_argument("--seeds", type=int, default=3)
    asked = options.parse_args()
    for name, files in EXAMPLES.items():
        model = asked.work / f"card_{name}"
        if not (model / "influence").is_dir():
            run(
                asked.data / f"{files}_train.parquet",
                asked.data / f"{files}_validation.parquet",
                output_dir=model,
                settings=TrainingSettings(seeds=asked.seeds),
            )
        target = HERE / name
        target.mkdir(exist_ok=True)
        save_picture(InfluenceMatrix.from_pretrained(model), model / "influence.png")
        card = folder_card(model, f"user/{name}")
        (target / "README.md").write_text(card, encoding="utf-8")
        shutil.copyfile(model / "influence.png", target / "influence.png")


if __name__ == "__main__":
    main()
