"""A published model, and names that tests share."""

REPO = "owner/model"
CODE = {
    *("configuration_self_attentive.py", "modeling_self_attentive.py"),
    *("pipeline_attention_attribution.py", "words.py"),
}
MODEL = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
INFLUENCE = {"influence/influence.parquet", "influence/manifest.json"}
TEXTS = ["What a lovely surprise!", "", "I am so angry, unforeseen \u65e5\u672c"]
