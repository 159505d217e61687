"""The model and its pipeline.

The modules here import only torch, transformers and each other: they travel to the Hub beside the
weights, so that the model also loads where this package is not installed.
"""
