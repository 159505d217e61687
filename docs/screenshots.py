"""Pictures of the report page for the README: a model of emotions, and the demonstration sentences.

python docs/screenshots.py --data FOLDER

Reads emotion_train.parquet and emotion_validation.parquet in FOLDER (the data set `emotion`,
Saravia et al. 2018), trains where --work holds no model yet, writes the PNG beside this file. No
text of that data set is shown; the sentences come with the package.
"""

import argparse
import dataclasses
import shutil
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from hf_attn_attr.demo.sentences import load_sentences
from hf_attn_attr.report.material import Material, read_material
from hf_attn_attr.report.page import page
from hf_attn_attr.training import TrainingSettings
from hf_attn_attr.workflow import run

HERE = Path(__file__).parent
WIDE = {"viewport": {"width": 1280, "height": 860}}
PHONE = {"viewport": {"width": 390, "height": 780}, "device_scale_factor": 1.5}
COLOURS = 96


def main() -> None:
    """Train, write the pages, take the pictures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--work", type=Path, default=Path("runs/screenshots"))
    given = options.parse_args()
    emotion = material(
        given.work / "emotion",
        given.data / "emotion_train.parquet",
        given.data / "emotion_validation.parquet",
    )
    emotion = dataclasses.replace(emotion, columns=None)
    sentences = material(
        given.work / "sentences",
        load_sentences(),
        settings=TrainingSettings(epochs=25, patience=8, batch_size=16),
        fold_on="train",
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        take(browser, emotion, "class", "view=class&label=joy", WIDE)
        take(browser, emotion, "word", "view=word&word=happy", {**WIDE, "color_scheme": "dark"})
        take(browser, emotion, "phone", "view=class&label=fear", PHONE)
        take(browser, sentences, "texts", "view=texts", WIDE)
        browser.close()


def material(folder: Path, *texts: Any, **settings: Any) -> Material:
    """What a report of a folder is made from; the model is trained if it is not there yet."""
    if not (folder / "influence").is_dir():
        run(*texts, output_dir=folder, columns=True, **settings)
    return read_material(folder)


def take(
    browser: Browser, material: Material, name: str, fragment: str, settings: dict[str, Any]
) -> None:
    """One picture, in few colours to keep it small."""
    html = HERE / f"{name}.html"
    html.write_text(page(material), encoding="utf-8")
    picture = HERE / f"report_{name}.png"
    context = browser.new_context(**settings)
    shown = context.new_page()
    shown.goto(f"{html.as_uri()}#{fragment}")
    shown.wait_for_selector("html[data-ready]")
    shown.wait_for_timeout(300)
    shown.screenshot(path=picture)
    context.close()
    html.unlink()
    Image.open(picture).convert("RGB").quantize(COLOURS).save(picture, optimize=True)


if __name__ == "__main__":
    main()
