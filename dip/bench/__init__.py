"""How long a step takes on this machine, how much memory, and how far from the limit: `python -m dip.bench`."""
