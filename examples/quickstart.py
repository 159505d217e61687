"""The whole job in Python, on the sentences that come with the package.

python examples/quickstart.py
"""

from hf_attn_attr import InfluenceMatrix, TrainingSettings, extract, fold, train
from hf_attn_attr.demo import load_sentences

sentences = load_sentences()  # yours: a Hub dataset name, a csv, jsonl or parquet file, a DataFrame
result = train(
    sentences,
    output_dir="quickstart",
    settings=TrainingSettings(epochs=25, patience=8, batch_size=16),
)
columns = extract(sentences, result.model, result.tokenizer)
fold(columns).save_pretrained("quickstart")

matrix = InfluenceMatrix.from_pretrained("quickstart")
shown = ["word", "influence", "low", "high", "documents", "evidence"]
print(matrix.top_words("fear", k=8)[shown].to_string(index=False))
print(matrix.word("happy")[["label", *shown[1:]]].to_string(index=False))
