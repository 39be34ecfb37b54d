"""Formats of result files, one a file; `reading` says what each of them has."""
