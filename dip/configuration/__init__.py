"""The options of a run: typed, composed by Hydra, listed by --help, and written back as a command."""
