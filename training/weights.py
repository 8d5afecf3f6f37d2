"""A trained network's weights in a file small enough to be kept, to export them again or to go on training from them."""

from pathlib import Path

import numpy as np
import torch

from training.about import ABOUT, About, packed, read_about
from training.network import HeatNet

WEIGHTS_FILE = "weights.npz"


def save_weights(path: Path, net: HeatNet, about: About) -> None:
    """Write the weights; those of convolutions in half precision, which changes each by 0.05 % at most."""
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in net.state_dict().items()}
    arrays = {name: array.astype(np.float16) if array.ndim > 1 else array for name, array in arrays.items()}
    np.savez_compressed(path, **arrays, **{ABOUT: packed(about)})


def load_weights(path: Path) -> tuple[HeatNet, About]:
    """The network, ready to be exported, and what it was learned from.

    Raises:
        ConfigurationError: no weights, or they do not say which class was left out.
        RuntimeError: they are of another network.
    """
    about = read_about(path)
    with np.load(path, allow_pickle=False) as file:
        state = {name: torch.from_numpy(file[name]).float() for name in file.files if name != ABOUT}
    net = HeatNet()
    net.load_state_dict(state)
    return net.eval(), about
