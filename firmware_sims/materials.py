"""What pieces are made of: chemical formula and density of each material that the simulated beam can meet.

Formulas and densities are textbook values (PubChem, CRC Handbook); mixtures such as food or printed circuit
boards are given as an average formula. `bake_beam` turns them into attenuation tables with xraydb.
"""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One material: `formula` in xraydb's notation, `density_g_cm3`."""

    formula: str
    density_g_cm3: float


def _material(formula: str, density_g_cm3: float) -> Material:
    return Material(formula=formula, density_g_cm3=density_g_cm3)


MATERIALS = MappingProxyType(
    {
        # paper and board: cellulose with about 15 % chalk filler
        "paper": _material("C54H90O45CaCO3", 0.80),
        "cardboard": _material("C6H10O5", 0.25),
        "toner": _material("C16H16Fe2O3", 1.60),
        "wood": _material("C6H9O4", 0.60),
        "pe": _material("CH2", 0.94),
        "pvc": _material("C2H3Cl", 1.38),
        "pet": _material("C10H8O4", 1.38),
        "abs": _material("C15H17N", 1.05),
        "polycarbonate": _material("C16H14O3", 1.20),
        "foam": _material("CH2", 0.03),
        "rubber": _material("C5H8SZnO", 1.15),
        "textile": _material("C6H10O5", 0.45),
        "leather": _material("C3H5NO", 0.90),
        "food": _material("C6H11O5", 0.90),
        "sugar": _material("C12H22O11", 0.90),
        "salt": _material("NaCl", 1.20),
        "milk_powder": _material("C12H22O8NCa0.1", 0.55),
        "tea": _material("C6H10O4", 0.30),
        "water": _material("H2O", 1.00),
        "ethanol": _material("C2H6O", 0.79),
        "oil": _material("C18H34O2", 0.90),
        "cream": _material("C4H12O4", 0.98),
        "glass": _material("Si6Na2CaO14", 2.50),
        "ceramic": _material("Al2Si2O7", 2.40),
        "silicon": _material("Si", 2.33),
        "aluminium": _material("Al", 2.70),
        "steel": _material("Fe", 7.85),
        "brass": _material("Cu2Zn", 8.50),
        "copper": _material("Cu", 8.96),
        "cupronickel": _material("Cu3Ni", 8.90),
        "solder": _material("Sn", 7.30),
        "silver": _material("Ag", 10.49),
        "gold": _material("Au", 19.30),
        "lead": _material("Pb", 11.35),
        "ferrite": _material("Mn0.5Zn0.5Fe2O4", 4.80),
        "circuit_board": _material("Si3O9C6H8Cu0.6", 1.95),
        "lithium_cell": _material("LiCoO2C6CuAl2C3H4O3", 2.40),
        "alkaline_cell": _material("ZnMnO2FeH2O", 3.20),
        "magnet": _material("Nd2Fe14B", 7.50),
        # forbidden things
        "petn": _material("C5H8N4O12", 1.45),
        "plastic_explosive": _material("C5H10N6O6", 1.60),
        "tnt": _material("C7H5N3O6", 1.60),
        "anfo": _material("N2H4O3C0.2H0.4", 0.95),
        "black_powder": _material("K3N3O9C4S", 1.05),
        "flash_powder": _material("KClO4Al2", 1.25),
        "talc_powder": _material("Mg3Si4O12H2", 0.95),
        "white_powder": _material("C17H22NO4Cl", 0.75),
        "peroxide": _material("H2O2", 1.30),
        "nitromethane": _material("CH3NO2", 1.14),
        "acid": _material("H2SO4", 1.83),
        "nitric_acid": _material("HNO3", 1.51),
        "bromine_mix": _material("C3H7BrO", 1.55),
        "primer": _material("PbN6", 3.50),
        # more everyday things
        "stainless": _material("Fe7Cr2Ni", 7.90),
        "zinc_alloy": _material("Zn24Al", 6.60),
        "titanium": _material("Ti", 4.50),
        "zirconia": _material("ZrO2", 6.00),
        "graphite": _material("C", 2.20),
        "nylon": _material("C6H11NO", 1.14),
        "filled_nylon": _material("C6H11NO3Si", 1.36),
        "silicone": _material("C2H6OSi", 1.10),
        "paraffin": _material("C25H52", 0.90),
        "soap": _material("C18H35O2Na", 1.05),
        "wax_seal": _material("C20H32O4Ti0.2", 1.30),
        "plaster": _material("CaSO6H4", 1.20),
        "stone": _material("CaCO3", 2.70),
        "fruit": _material("C6H126O63", 0.98),
        "noodles": _material("C6H10O5", 0.50),
        "tablet": _material("C10H14O7Ca0.3", 1.30),
        "make_up": _material("Mg3Si4O12H2C6H12Fe0.2", 1.40),
        "butane": _material("C4H10", 0.56),
        # more forbidden things
        "tatp": _material("C9H18O6", 1.18),
        "dynamite": _material("C3H9N5O12", 1.45),
        "emulsion": _material("N2H5O4C0.6", 1.20),
        "aluminised": _material("N2H4O3Al0.4", 1.15),
        "chlorate": _material("NaClO3C0.5H", 1.50),
        "gun_powder": _material("C6H8N2O9", 0.90),
        "fuel": _material("C8H18", 0.75),
        "phosphorus": _material("P", 1.82),
    }
)
"""Every material by name."""
