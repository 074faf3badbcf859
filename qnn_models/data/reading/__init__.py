"""From files to rows of text: formats, columns, named sources, fetching. Proved by `tests/qnn_models/data/reading`."""
