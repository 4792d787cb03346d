"""The noise of one image: its kind, level and correlation, and whether what a fit removed was noise or structure.

`level.examine` measures the noise in the `flat_patches` of the image, `dependence` how it grows with the brightness, and
`texture` tells it from fine structure. `clipping` corrects the bias of noise that was clipped, and `whitening` is the filter
of the loss where the noise is correlated. `lost_structure` examines the residual of a fit, and `finishing` combines a fit with
BM3D. All work on tensors (1, C, H, W) with values in [0, 1]. Importing this package does not import torch.
"""
