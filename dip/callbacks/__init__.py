"""Callbacks of a fit: recorder, early stopping, rollback, checkpoints, signals and progress bar."""
