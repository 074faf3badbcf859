"""The commands of `qnn`, one file per theme; `studies.cli` loads each only when it is called."""
