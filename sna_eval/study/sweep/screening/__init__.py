"""A grid predicted from one backward pass, and measured where it matters and where chance says."""
