"""The Hugging Face side: generation, settings, and what a run says about itself."""
