"""Renders the example cards from real runs on real data.

python model_cards/render.py --data FOLDER --work runs

Trains what is not in --work yet. A card holds figures and single words, no texts.
"""

import argparse
import shutil
from pathlib import Path

from hf_attn_attr import InfluenceMatrix, TrainingSettings, load_labelled
from hf_attn_attr.evaluation import evaluate_folder, matching_extractor
from hf_attn_attr.hub import folder_card
from hf_attn_attr.loading import load_classifier
from hf_attn_attr.report import save_picture
from hf_attn_attr.workflow import run

HERE = Path(__file__).parent
# The name of an example, what its files are called, and the column of its labels.
EXAMPLES = {"emotion": ("emotion", "label_name"), "sst2": ("sst", "polarity")}


def main() -> None:
    """Train and check where needed, then write README.md and the picture of each example."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    options.add_argument("--work", type=Path, default=Path("runs"), help="folder for models")
    options.add_argument("--seeds", type=int, default=3)
    asked = options.parse_args()
    for name, (files, column) in EXAMPLES.items():
        model = asked.work / f"card_{name}"
        parts = [str(asked.data / f"{files}_{split}.parquet") for split in ("train", "validation")]
        if not (model / "influence").is_dir():
            texts = (load_labelled(part, label_column=column) for part in parts)
            run(*texts, output_dir=model, settings=TrainingSettings(seeds=asked.seeds))
        if not (model / "evaluation.json").is_file():
            evaluate_folder(
                model,
                matching_extractor(model, *load_classifier(model)),
                parts[1],
                seeds=asked.seeds,
                train=parts[:1],
                read_options={"label_column": column},
            )
        target = HERE / name
        target.mkdir(exist_ok=True)
        save_picture(InfluenceMatrix.from_pretrained(model), model / "influence.png")
        card = folder_card(model, f"user/{name}")
        (target / "README.md").write_text(card, encoding="utf-8")
        shutil.copyfile(model / "influence.png", target / "influence.png")


if __name__ == "__main__":
    main()
