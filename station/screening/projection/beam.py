"""The beam behind matter: how much less of it a thing lets through where it has been hardened already.

A transmission of energy d is `Σ_g w_dg · exp(−Σ_m μ_mg t_m)`, so the transmission of two things on top of each other is not the product of
both: a beam that has passed steel is harder, and a thing behind it weakens it less. What lies over a spot is told from its own LE and HE
attenuation as a thickness of water and of steel (two numbers for two numbers); the thing's materials are known.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_NEWTON_STEPS = 8
_WATER_MM = (-20.0, 600.0)
_STEEL_MM = (-2.0, 90.0)
_FIRST_WATER_MM_PER_LE = 45.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """Tube and detector at one voltage, in energy groups.

    `weights` (2, groups): share of LE and HE signal through air, each row sums to 1. `attenuation_per_mm` (materials, groups), its rows
    named by `materials`; `water` and `steel` are among them. `scatter_share` of the signal comes from the neighbourhood's mean
    transmission, a box of ±`scatter_mm` (along, across the belt).
    """

    tube_kv: float
    weights: FloatArray
    attenuation_per_mm: FloatArray
    materials: tuple[str, ...]
    scatter_share: float
    scatter_mm: tuple[float, float]

    def overlay_mm(self, attenuation: FloatArray) -> FloatArray:
        """Water and steel (2, n), in mm, that weaken LE and HE as `attenuation` (2, n) says.

        Noise may make them slightly negative, and matter that is like no mixture of both ends at a bound; the answer then stands for the
        nearest hardening that there is.
        """
        rows = self.attenuation_per_mm[[self.materials.index("water"), self.materials.index("steel")]]
        found = np.stack([np.clip(attenuation[0] * np.float32(_FIRST_WATER_MM_PER_LE), *_WATER_MM), np.zeros_like(attenuation[0])])
        low = np.asarray([[_WATER_MM[0]], [_STEEL_MM[0]]], dtype=np.float32)
        high = np.asarray([[_WATER_MM[1]], [_STEEL_MM[1]]], dtype=np.float32)
        for _ in range(_NEWTON_STEPS):
            passed = np.exp(-(found.T @ rows))
            signal = np.maximum(passed @ self.weights.T, np.float32(1e-30))
            slopes = [(passed * rows[row]) @ self.weights.T / signal for row in (0, 1)]
            wrong = attenuation.T + np.log(signal)
            determinant = slopes[0][:, 0] * slopes[1][:, 1] - slopes[0][:, 1] * slopes[1][:, 0]
            determinant = np.where(np.abs(determinant) < np.float32(1e-9), np.float32(1e-9), determinant)
            change = np.stack(
                [
                    (wrong[:, 0] * slopes[1][:, 1] - wrong[:, 1] * slopes[1][:, 0]) / determinant,
                    (wrong[:, 1] * slopes[0][:, 0] - wrong[:, 0] * slopes[0][:, 1]) / determinant,
                ]
            )
            found = np.clip(found + change, low, high)
        return found.astype(np.float32)

    def behind(self, overlay_mm: FloatArray, thickness_mm: FloatArray, names: tuple[str, ...]) -> FloatArray:
        """Transmission (2, n) of a thing of materials `names`, `thickness_mm` (materials, n), behind water and steel (2, n)."""
        overlay_rows = self.attenuation_per_mm[[self.materials.index("water"), self.materials.index("steel")]]
        thing_rows = self.attenuation_per_mm[[self.materials.index(name) for name in names]]
        through = np.exp(-(overlay_mm.T @ overlay_rows))
        before = through @ self.weights.T
        through *= np.exp(-(thickness_mm.T @ thing_rows))
        ratio: FloatArray = (through @ self.weights.T / before).T
        return ratio

    def attenuation_in_air(self, thickness_mm: FloatArray, names: tuple[str, ...]) -> FloatArray:
        """Attenuation (n,) of LE by so little of materials `names` (materials, n) that it hardens nothing."""
        rows = self.attenuation_per_mm[[self.materials.index(name) for name in names]]
        result: FloatArray = thickness_mm.T @ (rows @ self.weights[0])
        return result
