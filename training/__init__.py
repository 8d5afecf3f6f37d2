"""Makes the data, trains, calibrates, measures and exports the station's model; never imported by the station."""
