"""What watches a run without taking part in it: recorder, stopping, checkpoints, signals, progress."""
