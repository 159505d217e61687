"""Type a text and see what each word did; look up words and classes in the influence matrix."""

import json
from pathlib import Path

import gradio as gr
from transformers import pipeline

from hf_attn_attr import AttnAttrError, InfluenceMatrix
from hf_attn_attr.markup import html

HERE = Path(__file__).parent
SETTINGS = json.loads((HERE / "space.json").read_text(encoding="utf-8"))
MODEL = str(HERE / "model") if SETTINGS["model"] is None else SETTINGS["model"]
PREDICTED = "the predicted class"

matrix = InfluenceMatrix.from_pretrained(HERE / "model")
classify = pipeline("text-classification", model=MODEL, top_k=None)
explain = pipeline("attention-attribution", model=MODEL, method=SETTINGS["method"])


def read(text: str, label: str) -> tuple[dict[str, float] | None, str]:
    """Scores of the classes, and the text with its words highlighted."""
    if not text.strip():
        raise gr.Error("Type a text first.")
    try:
        answer = explain(text, label=None if label == PREDICTED else label)
    except AttnAttrError as error:
        raise gr.Error(html(str(error))) from error  # gradio shows messages as HTML
    scores = None
    if SETTINGS["classes"]:
        found = classify([text], truncation=True)[0]
        scores = {one["label"]: one["score"] for one in found}
    return scores, answer._repr_html_()


def look_up(word: str) -> str:
    """Influence of a word on each class."""
    try:
        return matrix.word(word.strip())._repr_html_()
    except AttnAttrError as error:
        raise gr.Error(html(str(error))) from error  # gradio shows messages as HTML


def list_words(label: str) -> str:
    """The words that drive a class."""
    return matrix.top_words(label, 30)._repr_html_()


with gr.Blocks(title=SETTINGS["title"]) as app:
    gr.Markdown("# Which words drive which class?")
    with gr.Tab("A text"):
        text = gr.Textbox(label="Text", lines=3)
        label = gr.Dropdown([PREDICTED, *matrix.labels], value=PREDICTED, label="Explain")
        button = gr.Button("Explain", variant="primary")
        scores = gr.Label(label="Classes", visible=SETTINGS["classes"])
        highlights = gr.HTML(label="Words")
        gr.Markdown("Red speaks for the class, blue against it; numbers under the pointer.")
        asked = [button.click, text.submit]
        gr.on(asked, read, [text, label], [scores, highlights], api_name="explain")
    with gr.Tab("A word"):
        word = gr.Textbox(label="Word")
        profile = gr.HTML(label="Influence on each class")
        word.submit(look_up, word, profile, api_name="word")
    with gr.Tab("A class"):
        chosen = gr.Dropdown(list(matrix.labels), label="Class")
        words = gr.HTML(label="Words")
        chosen.change(list_words, chosen, words, api_name="top")
    gr.Markdown("An influence describes this model, not people.")

if __name__ == "__main__":
    app.launch()
