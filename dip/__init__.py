"""A laboratory for Deep Image Prior: one untrained network, fitted to one image, restores it."""
