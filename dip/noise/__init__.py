"""The noise of one image: its kind, level and correlation, and whether what a fit removed was noise or structure.

`level.examine` measures the noise in the `flat_patches` of the image, `texture` tells it from fine structure, `whitening` is
the filter of the loss where it is correlated, `lost_structure` examines the residual of a fit, and `finishing` combines a fit
with BM3D. All work on tensors (1, C, H, W) with values in [0, 1]. Importing this package does not import torch.
"""
