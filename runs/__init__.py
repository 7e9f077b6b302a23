"""What surrounds a run: its checks, what is shown of it, what is kept of it."""
