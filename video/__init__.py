"""Films: frames that are painted one by one, each held to the one before."""
