"""How far to trust a model and its influence matrix."""
