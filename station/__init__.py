"""Station controller for the KT1 postal network: screens, disinfects, and holds or releases each piece."""
