"""The one place that turns an exception into what a person at a terminal reads.

What a user can mend is one line, rule, value, remedy, without a traceback. Anything else is a bug: it keeps its traceback and
asks for a report. Our own code tells the two apart: what it *raises* as a sentence is a message, what happens *to* it is a bug.
"""

from __future__ import annotations

import dis
import errno
import shlex
from collections.abc import Mapping, Sequence

import click

__all__ = ["EXTRAS", "InputError", "OutcomeError", "report_request", "user_error"]

OWN_PACKAGES = ("qnn_theory", "qnn_models", "studies", "figures")

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "models": ("numba", "polars", "pyarrow", "safetensors", "torch", "tqdm"),
    "studies": ("cattrs", "joblib", "matplotlib", "sklearn", "scipy", "tomli_w"),
    "cluster": ("ray",),
    "hdf5": ("h5py",),
    "sklearn": ("sklearn",),
    "tune": ("optuna",),
    "export": ("onnx", "onnxruntime", "onnxscript"),
    "testing": ("hypothesis",),
}
"""Extra of the distribution -> what is imported of it. A test compares them with pyproject.toml."""

_REMEDIES = {
    errno.ENOSPC: "free some space, or name a place on another disk",
    errno.EDQUOT: "free some space, or name a place on another disk",
    errno.EFBIG: "lift the limit of the size of files (`ulimit -f`), or name another place",
    errno.EROFS: "name a place that can be written",
    errno.EACCES: "change its permissions, or name another place",
    errno.EPERM: "change its permissions, or name another place",
    errno.EIO: "the disk fails; name a place on another one",
}
"""What the system may say of a disk even where it does not say of which file."""


class InputError(click.ClickException):
    """What the user gave cannot be used."""

    exit_code = 2


class OutcomeError(click.ClickException):
    """What the user gave could be used, but came to nothing here."""

    exit_code = 1


def user_error(error: Exception) -> click.ClickException | None:
    """The message for what a user can mend; None for a bug."""
    text = _text(error)
    match error:
        case ModuleNotFoundError(name=str(name)) if name.partition(".")[0] not in OWN_PACKAGES:
            return OutcomeError(_install(name.partition(".")[0]))
        case OSError() if error.filename is not None or error.errno in _REMEDIES:
            where = "The disk" if error.filename is None else str(error.filename)
            remedy = _REMEDIES.get(error.errno or 0, "name another one")
            return InputError(f"{where} cannot be used: {error.strerror or text}; {remedy}.")
        case MemoryError() if not _is_message(error):
            said = f" ({text})" if text else ""
            return OutcomeError(f"The machine has too little memory for this{said}; ask for less at a time.")
    if _is_message(error):
        return InputError(text) if isinstance(error, ValueError | KeyError | OSError) else OutcomeError(text)
    return None


def report_request(arguments: Sequence[str]) -> str:
    """What stands below the traceback of a bug."""
    from importlib import metadata  # only where there is something to report

    try:
        version = metadata.version("qnn-toolkit")
    except metadata.PackageNotFoundError:
        version = "of a source tree that is not installed"
    return (
        "\nThis is a bug of qnn-toolkit, not a mistake of yours. Please report it with the lines above and these:\n"
        f"  version  {version}\n"
        f"  command  qnn {shlex.join(arguments)}"
    )


def _install(module: str) -> str:
    extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
    what = f"'qnn-toolkit[{extra}]'" if extra else module
    return f"This needs the library {module}, however it is not installed: pip install {what}."


def _text(error: Exception) -> str:
    # str() of a KeyError is the repr of its text.
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)


def _is_message(error: Exception) -> bool:
    """Whether a ``raise`` of our own code made it, and as a sentence: not the bare key of a failed look-up."""
    ours = type(error).__module__.partition(".")[0] in OWN_PACKAGES
    told = (ValueError, KeyError, OSError, ImportError, MemoryError, FloatingPointError)
    if not (ours or isinstance(error, told)) or " " not in _text(error):
        return False
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return False
    frame = traceback.tb_frame
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    # Built-in functions raise in the frame that calls them; only a statement of ours stands on this instruction.
    return package in OWN_PACKAGES and dis.opname[frame.f_code.co_code[traceback.tb_lasti]] == "RAISE_VARARGS"
