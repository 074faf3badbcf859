"""The described data sets, one TOML file each."""
