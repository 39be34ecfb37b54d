"""The Hugging Face side: rows, generation, settings."""
