"""The commands of `qnn` that draw: figures, report, explain, reproduce. The top floor."""
