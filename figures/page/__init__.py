"""The HTML report: one file that loads nothing from elsewhere. Stands on `build`."""
