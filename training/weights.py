"""A trained network's weights in a file small enough to be kept, to export them again or to go on training from them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from training.network import HeatNet

WEIGHTS_FILE = "weights.npz"
_ABOUT = "about"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What weights were learned from: SHA-256 over all pieces of all sets, and how many crops."""

    data_sha256: str
    crops: int


def save_weights(path: Path, net: HeatNet, about: About) -> None:
    """Write the weights; those of convolutions in half precision, which changes each by 0.05 % at most."""
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in net.state_dict().items()}
    arrays = {name: array.astype(np.float16) if array.ndim > 1 else array for name, array in arrays.items()}
    np.savez_compressed(path, **arrays, **{_ABOUT: np.frombuffer(json.dumps(asdict(about)).encode(), np.uint8)})


def load_weights(path: Path) -> tuple[HeatNet, About]:
    """The network, ready to be exported, and what it was learned from.

    Raises:
        OSError, KeyError, ValueError, RuntimeError: no weights of this network.
    """
    with np.load(path, allow_pickle=False) as file:
        about = About(**json.loads(file[_ABOUT].tobytes()))
        state = {name: torch.from_numpy(file[name]).float() for name in file.files if name != _ABOUT}
    net = HeatNet()
    net.load_state_dict(state)
    return net.eval(), about
