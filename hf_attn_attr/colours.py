"""Two colours that colour-blind people tell apart (ColorBrewer RdBu), in all pictures and pages."""

FOR, AGAINST = "#b2182b", "#2166ac"
"""What speaks for a class, and against it."""


def tint(colour: str, strength: float) -> str:
    """A colour for HTML, from transparent (0) to full (1)."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{strength:.2f})"
