"""What a task brings: items, development documents, and the plan that applies to it."""
