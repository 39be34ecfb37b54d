"""The paper's protocol: its steps on a model, and whether they confirm its published figures."""
