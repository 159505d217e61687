"""Fine-tune with a stock transformers Trainer, then measure the gauge and ask the pipeline.

python examples/stock_trainer.py
"""

from transformers import Trainer, TrainingArguments, pipeline

from hf_attn_attr import (
    SelfAttentiveConfig,
    SelfAttentiveForSequenceClassification,
    measure_gauge,
    train_tokenizer,
)
from hf_attn_attr.demo import load_sentences

sentences = load_sentences()
labels = sentences.features["label"].names
tokenizer = train_tokenizer(sentences["text"])
config = SelfAttentiveConfig(
    vocab_size=len(tokenizer),
    id2label=dict(enumerate(labels)),
    label2id={label: index for index, label in enumerate(labels)},
)
model = SelfAttentiveForSequenceClassification(config)
model.set_char_ngrams(tokenizer)

trainer = Trainer(
    model=model,
    args=TrainingArguments(
        output_dir="stock_trainer", num_train_epochs=20, learning_rate=3e-3, report_to="none"
    ),
    train_dataset=sentences.map(lambda rows: tokenizer(rows["text"]), batched=True),
    processing_class=tokenizer,
)
trainer.train()

# Without this step attributions are refused: they would be defined only up to a constant.
measure_gauge(model, tokenizer, sentences["text"][:])
trainer.save_model("stock_trainer")

ask = pipeline("attention-attribution", model="stock_trainer")
answer = ask("What a lovely surprise, I am so happy!")
print(answer["label"], round(answer["score"], 3))
for word in answer["words"]:
    print(f"{word['word']:>12} {word['attribution']:+.3f}")
