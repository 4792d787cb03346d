"""The networks: each is a dataclass of its options that builds the PyTorch module.

To add one, write a subclass of `dip.nets.net.Net`, list it in `NETS`, and add a file to `conf/net/`. Importing this
package does not import torch, so options can be listed and checked at once; `build` imports it.
"""

from dip.nets.architectures import MLP, ConvDecoder, Decoder, Hourglass, Hourglass3d, Pixels, ResNet, Swin, UNet
from dip.nets.net import Net, Network, Size, Skips

__all__ = [
    "MLP", "NETS", "ConvDecoder", "Decoder", "Hourglass", "Hourglass3d", "Net", "Network", "Pixels", "ResNet", "Size",
    "Skips", "Swin", "UNet",
]  # fmt: skip

NETS: dict[str, type[Net]] = {
    kind.name: kind for kind in (Hourglass, Hourglass3d, Pixels, UNet, ResNet, Decoder, ConvDecoder, MLP, Swin)
}
"""The networks by name."""
