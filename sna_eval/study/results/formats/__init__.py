"""Formats of result files, one a file."""
