"""The paper's published figures, and whether a run confirms them."""
