"""The fit of one network or an ensemble to one image: the LightningModule, data, losses, optimisers, speed-ups."""
