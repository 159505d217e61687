"""Names of the files in a model's folder or repository, but for those in `influence/`."""

CARD, CONFIG = "README.md", "config.json"
TRAINING, EVALUATION, REPORT = "training.json", "evaluation.json", "report.html"
PICTURE = "influence.png"
TOKENIZER, ONNX = "tokenizer.json", "model.onnx"
REFITS = "refits"
