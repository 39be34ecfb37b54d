"""Tiny models of every architecture that can be built without a network, and what they show."""
