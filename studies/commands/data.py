"""``qnn data``: list the data sets, and prepare one."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def data() -> None:
    """List and prepare data sets."""


@data.command("list")
def list_data() -> None:
    """List the data sets by name, and what each is read from."""
    from qnn_models.data.registry import dataset_names, describe

    names = dataset_names()
    width = max(map(len, names))
    for name in names:
        click.echo(f"{name:<{width}}  {describe(name)}")


@data.command("init")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--label", help="The column that is predicted. [default: guessed]")
@click.option("--name", default="", help="Name of the data set. [default: that of the first file]")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="The schema. [default: NAME.toml beside the files]"
)
@click.option("--force", is_flag=True, help="Replace a schema that is there.")
def init_data(files: tuple[Path, ...], label: str | None, name: str, out: Path | None, force: bool) -> None:
    """Guess the schema of your own FILES from their first rows, and write it as a commented TOML file.

    FILES are one file, several alike (day-01.csv day-02.csv), files named train, valid and test, or a folder of such files: CSV,
    TSV, JSON lines or Parquet; text may be compressed by gzip, bzip2, xz or zstd. Then:

    \b
        qnn data prepare my.toml
        qnn train --dataset my.toml
    """  # noqa: D301  (click's mark of a paragraph that it must not fill)
    from qnn_models.data.proposing.propose import propose, schema_text
    from qnn_models.runtime.whole_file import appearing

    first = files[0].parent if files[0].is_file() else files[0]
    proposal = propose(files, label=label, name=name, folder=None if out is None else out.parent)
    target = out or first / f"{proposal.schema.name}.toml"
    if target.suffix != ".toml":
        raise click.ClickException(f"A schema is a .toml file, however: {target}; name it so.")
    if target.exists() and not force:
        raise click.ClickException(f"A schema that is there stays, however: {target} exists; --force replaces it.")
    with appearing(target) as temporary:
        temporary.write_text(schema_text(proposal), encoding="utf-8")
    schema = proposal.schema
    click.echo(f"{target}: {len(schema.fields)} fields of {schema.name}, from {proposal.rows:,} rows")
    click.echo(f"  label  {schema.label.column}: {proposal.remarks['label']}")
    click.echo(f"  split  {proposal.remarks['split']}")
    width = max(len(one) for one in (*proposal.reasons, *proposal.left_out))
    for one in schema.fields:
        click.echo(f"  {one.name:<{width}}  {one.kind:<11}  {proposal.reasons[one.name]}")
    for column, why in proposal.left_out.items():
        click.echo(f"  {column:<{width}}  left out     {why}")
    click.echo(f"Read it, then: qnn data prepare {target}")


@data.command("describe")
@click.argument("name")
@click.option("--source", type=click.Path(path_type=Path), help="Folder of the data set's own files.")
@click.option("--split-seed", type=int, default=0, show_default=True, help="Seed of the split.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def describe_data(name: str, source: Path | None, split_seed: int, as_json: bool) -> None:
    """Show what the data set NAME (or a schema of your own files) holds, field by field.

    distinct: tokens of the vocabulary. known: share of the training rows' tokens that it holds. new: share of tokens out of
    vocabulary in the validation and the test rows. agree: probability that two rows hold the same token. information: what the
    field alone tells of the label, in thousandths of a nat, corrected for chance.
    """
    import json
    from dataclasses import asdict

    from qnn_models.data.describing import remarks, summarise
    from qnn_models.data.registry import prepare

    dataset = prepare(name, source=source, split_seed=split_seed, progress=not as_json)
    summary = summarise(dataset)
    if as_json:
        click.echo(json.dumps({**asdict(summary), "remarks": list(remarks(summary))}))
        return
    for split, rows, clicks in zip(("train", "valid", "test"), summary.rows, summary.clicks, strict=True):
        click.echo(f"{split:<6} {rows:>12,} rows, {clicks:.2%} clicks")
    width = max(5, *(len(field.name) for field in summary.fields))
    click.echo(
        f"{'field':<{width}}  {'kind':<11} {'distinct':>10} {'known':>7} {'new valid':>9} {'new test':>9} {'missing':>8} "
        f"{'agree':>8} {'information':>11}"
    )
    for field in summary.fields:
        missing = "" if field.missing is None else f"{field.missing:.2%}"
        click.echo(
            f"{field.name:<{width}}  {field.kind:<11} {field.distinct:>10,} {field.coverage:>7.2%} {field.oov[1]:>9.2%} "
            f"{field.oov[2]:>9.2%} {missing:>8} {field.agreement:>8.5f} {field.information:>11.3f}"
        )
    for remark in remarks(summary):
        click.echo(f"Look: {remark}.")


@data.command("prepare")
@click.argument("name")
@click.option(
    "--source", type=click.Path(path_type=Path), help="Folder of the data set's own files. [default: fetched]"
)
@click.option(
    "--split-seed", type=int, default=0, show_default=True, help="Seed of the split, where the files make none."
)
@click.option("--force", is_flag=True, help="Encode again what the cache holds.")
@click.option("--offline", is_flag=True, help="Take the data set as it is in the cache, whatever its source holds now.")
def prepare_data(name: str, source: Path | None, split_seed: int, force: bool, offline: bool) -> None:
    """Encode the data set NAME (or the TOML schema of your own files) into the cache.

    The cache is the folder qnn-data in $QNN_CACHE, else in $XDG_CACHE_HOME, else in ~/.cache. `qnn data init FILES` writes a
    first schema. All keys of one, with an example each:

    \b
    name = "my-clicks"               # plain letters, digits, - and _
    description = "clicks of May"    # for people
    origin = "our web shop"          # where it is from, for people
    ratios = [8, 1, 1]               # train, valid, test
    split_by = "time"                # by the order of this column; without it, at random by seed
    split_as = "order"               # or "group": all rows of one value in one split; or "part": it says train, valid or test
    \b
    [label]
    column = "clicked"               # holds 0 and 1, or true and false
    aliases = ["click"]              # other names of the column
    positive = ["yes"]               # or: texts that mean 1
    positive_above = 3.5             # or: numbers above this mean 1
    drop = [-1]                      # rows with one of these values are left out
    drop_missing = true              # rows without a value are left out
    \b
    [[field]]                        # one for each field, or one for several alike
    name = "user"                    # the column; or names = ["user", "item"]
    aliases = ["user_id"]
    kind = "categorical"             # or "numeric", or "sequence"
    min_count = 10                   # rarer tokens are out of vocabulary
    missing = "own"                  # an empty value has an id of its own; "oov": out of vocabulary
    optional = true                  # rows to predict on may lack the column
    prefix = 2                       # categorical: keep so many first characters
    bucket = "quantile"              # numeric: also "log2square" (counts), "integer", "edges"
    buckets = 64                     # numeric, quantile: at most so many
    edges = [0, 18, 65, 120]         # numeric, edges: bounds
    decimal = ","                    # numeric: the mark before the fraction
    separator = "|"                  # sequence: between its tokens
    max_length = 10                  # sequence: tokens kept
    \b
    [[source]]                       # the first whose files are there is read
    format = "csv"                   # or "jsonl", "parquet", "hdf5", "libfm"
    table = "day-*.csv.gz"           # a file or a pattern, relative to the schema or --source;
    train = "train.csv"              # or files of their own for the splits
    valid = "valid.csv"
    test = "test.csv"
    extra = ["users.dat"]            # files that a reader joins
    separator = ","                  # between columns
    quoted = true                    # double quotes guard a column
    missing = ["NA"]                 # texts that stand for a missing value
    columns = ["clicked", "user"]    # names, where the files have no header
    label = { column = "rating" }    # a label rule of these files
    """  # noqa: D301  (click's mark of a paragraph that it must not fill)
    from qnn_models.data.registry import prepare

    dataset = prepare(name, source=source, split_seed=split_seed, force=force, offline=offline)
    rows = ", ".join(f"{dataset.num_rows(split):,} {split}" for split in ("train", "valid", "test"))
    click.echo(f"{dataset.name}: {rows} rows; {dataset.layout.num_fields} fields, {dataset.layout.total_ids:,} ids")
    for field, size, length in zip(
        dataset.layout.names, dataset.layout.vocabulary_sizes, dataset.layout.lengths, strict=True
    ):
        click.echo(f"  {field:<20} {size:>10,} ids" + (f", up to {length} at a time" if length > 1 else ""))
    click.echo(f"content {dataset.content_hash}" + (f" in {dataset.folder}" if dataset.folder else ""))
