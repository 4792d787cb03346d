"""Time and memory of a step on this machine, compared with a plain network and with a bound: `python -m dip.bench`."""
