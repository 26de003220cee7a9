"""What every command shares: ``--debug``, ``--model``, errors that are a sentence, Ctrl-C, the line that runs it again."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import click

from dcgan_viz.errors import Notice, UserError
from dcgan_viz.folders import current_command
from dcgan_viz.progress import duration, say
from dcgan_viz.untrusted import as_text, printable
from dcgan_viz.versions import versions


def echo(text: str, err: bool = False) -> None:
    """Print text that may come from a file: what a terminal would obey in it becomes visible."""
    click.echo(printable(text), err=err)


PARAMETER = re.compile(r"`(\w+)(?:=([^`]*))?`")
"""As sentences of the library name a parameter, with or without a value."""


ALTERNATIVE = re.compile(r", or [^,;:`]*`(\w+)(?:=([^`]*))?`[^,;:`]*")
"""As sentences name one at their end."""


CALL = re.compile(r"`(\w+)\((\w+)=([^`]*)\)`")
"""As sentences name a parameter of another function than the one that was called."""


def in_options(text: str, command: click.Command | None = None) -> str:
    """A sentence of the library, which speaks of parameters, in a command's options; by default of the running one.

    A function that another command runs becomes that command. An alternative that a command has no option for is left
    out.

    Examples
    --------
    >>> command = click.Command("draw", params=[click.Option(["--overwrite"], is_flag=True), click.Option(["--size"])])
    >>> in_options("replace it with `overwrite=True`, or give `size=64`, or paint it with `color`", command)
    'replace it with --overwrite, or give --size 64'
    """
    context = click.get_current_context(silent=True)
    command = command or (context.command if context else None)
    if command is None:
        return text
    context = context or click.Context(command)
    group = context.find_root().command
    others = group.commands.values() if isinstance(group, click.Group) else ()
    runs = {other.runs: other for other in others if isinstance(other, Command)}

    def option(found: re.Match[str]) -> str:
        return _typed(command, *found.groups()) or found.group()

    def call(found: re.Match[str]) -> str:
        function, name, value = found.groups()
        other = runs.get(function)
        typed = _typed(other, name, value) if other else None
        if other is None or typed is None:
            return found.group()
        arguments = [
            parameter.make_metavar(context) for parameter in other.params if isinstance(parameter, click.Argument)
        ]
        return typed if other is command else " ".join(["dcgan-viz", str(other.name), *arguments, typed])

    def alternative(found: re.Match[str]) -> str:
        return found.group() if _typed(command, *found.group(1, 2)) or found.group(1) in arguments else ""

    arguments = {parameter.name for parameter in command.params if isinstance(parameter, click.Argument)}
    return PARAMETER.sub(option, ALTERNATIVE.sub(alternative, CALL.sub(call, text)))


def _typed(command: click.Command, name: str, value: str | None) -> str | None:
    """A parameter, with or without a value, as it is typed for a command; None where that has no such option."""
    for parameter in command.params:
        names = (str(parameter.name), *(option.lstrip("-").replace("-", "_") for option in parameter.opts))
        if isinstance(parameter, click.Option) and name in names:
            typed = max(parameter.opts, key=len)
            return typed if value in (None, "True") else f"{typed} {value}"
    return None


class Bug(click.ClickException):
    """What should not happen: one sentence, and the traceback in a file; exit status 1."""

    exit_code = 1

    def __init__(self, error: Exception) -> None:
        kept = ""
        # Beside nobody's files; and where nothing can be written, the sentence alone has to do.
        with (
            suppress(OSError),
            tempfile.NamedTemporaryFile(
                "w", prefix="dcgan-viz-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
            ) as file,
        ):
            file.write("".join(traceback.format_exception(error)))
            kept = f"; the traceback is in {file.name}, please report it"
        super().__init__(f"unexpected {type(error).__name__}: {error}{kept}")

    def format_message(self) -> str:
        """The sentence, without what a terminal would obey."""
        return printable(self.message)


class Failure(click.ClickException):
    """A request that could not be carried out: one sentence, exit status 2."""

    exit_code = 2

    def format_message(self) -> str:
        """The sentence, without what a terminal would obey."""
        return printable(self.message)


class Command(click.Command):
    """A command that takes ``--debug`` and ``--verbose`` and turns errors into sentences.

    Parameters
    ----------
    goes_on : bool
        Whether the same command goes on where it was stopped.
    runs : str, optional
        The function that it runs, as sentences of the library call it; by default that of its own name.
    """

    def __init__(self, *args: Any, goes_on: bool = False, runs: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.goes_on = goes_on
        self.runs = runs or str(self.name)
        self.takes_model = any(isinstance(p, click.Argument) and p.name in ("model", "models") for p in self.params)
        if self.takes_model:
            # For --help: the words are taken out before click sees them.
            self.params.append(
                click.Option(["--model", "as_option"], expose_value=False, metavar="MODEL", help="The same as MODEL.")
            )
        self.params.append(
            click.Option(["--debug"], is_flag=True, expose_value=False, callback=_remember, help="Show tracebacks.")
        )
        self.params.append(
            click.Option(
                ["-v", "--verbose"],
                is_flag=True,
                expose_value=False,
                callback=_begin_account,
                help="Say on standard error what runs, with which versions, and what time and memory it took.",
            )
        )

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Take ``--model MODEL`` for the argument MODEL where there is one, so that every command knows the option."""
        return super().parse_args(context, _models_first(args) if self.takes_model else args)

    def invoke(self, context: click.Context) -> Any:
        """Run the command; errors keep their traceback only under ``--debug``."""
        token = current_command.set(command_line(context))
        interrupted = _Interrupted()
        try:
            with _notices_as_lines(), interrupted:
                return super().invoke(context)
        except (click.exceptions.Exit, BrokenPipeError):
            raise
        except BaseException as error:
            if context.meta["dcgan_viz.debug"] or isinstance(error, SystemExit):
                raise
            if interrupted.now or isinstance(error, KeyboardInterrupt):
                # In the middle of an import Ctrl-C comes out of C code as whatever error.
                raise Stopped(self.goes_on) from error
            if isinstance(error, click.ClickException | click.Abort) or not isinstance(error, Exception):
                raise
            if isinstance(error, UserError | OSError | MemoryError):
                raise Failure(in_options(str(error) or "not enough memory", self)) from error
            raise Bug(error) from error
        finally:
            current_command.reset(token)


class Stopped(click.ClickException):
    """Ctrl-C, as a sentence; exit status 130, as shells have it."""

    exit_code = 130

    def __init__(self, goes_on: bool) -> None:
        super().__init__("the same command goes on where it was" if goes_on else "")

    def show(self, file: Any = None) -> None:
        """Say it."""
        echo(f"\nstopped by Ctrl-C{self.message and ': '}{self.message}", err=True)


class _Interrupted:
    """In its block, whether Ctrl-C was pressed."""

    now = False

    def __enter__(self) -> None:
        self.before: Any = None
        # A handler of somebody else's, such as pytest's, stays.
        if threading.current_thread() is threading.main_thread() and (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            self.before = signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.now = True
        signal.default_int_handler(number, frame)

    def __exit__(self, *_: object) -> None:
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)


def _models_first(args: list[str]) -> list[str]:
    """Command line words with what ``--model`` names before all others.

    Examples
    --------
    >>> _models_first(["--fast", "--model", "rooms"])
    ['rooms', '--fast']
    """
    models: list[str] = []
    others: list[str] = []
    words = iter(args)
    for word in words:
        if word == "--":
            others += [word, *words]
        elif word == "--model" and (name := next(words, None)) is not None:
            models.append(name)
        elif word.startswith("--model="):
            models.append(word.removeprefix("--model="))
        else:
            others.append(word)
    return [*models, *others]


@contextmanager
def _notices_as_lines() -> Iterator[None]:
    """Prints every `Notice` on standard error; other warnings look as always."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", Notice)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, Notice):
                say(printable(f"note: {in_options(str(message))}"))
            else:
                others(message, category, *where, **more)

        warnings.showwarning = show
        yield


def _remember(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.meta["dcgan_viz.debug"] = value


def _begin_account(context: click.Context, _: click.Parameter, value: bool) -> None:
    if not value:
        return
    start = time.perf_counter(), time.process_time()
    say(", ".join(f"{name} {version}" for name, version in versions().items()))
    say(f"{os.cpu_count()} cores, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')}")

    def end() -> None:
        wall, processor = time.perf_counter() - start[0], time.process_time() - start[1]
        say(f"{command_line(context)}\ntook {duration(wall)}, {duration(processor)} of processor time{_peak()}")

    context.call_on_close(end)


def _peak() -> str:
    """The most memory that this process has had, in words, where the system says so."""
    if sys.platform == "win32":
        return ""
    import resource

    # In KiB on Linux, in bytes on a Mac.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return f", up to {peak / 2**20:.0f} MiB of memory"


RECORDED = ("model", "seed", "device", "precision")
"""Options that a recorded command has even where they were not given: a default may change."""

NOT_RECORDED = ("as_json", "overwrite")
"""Options that change nothing of what is computed."""


def command_line(context: click.Context | None = None, leave_out: Collection[str] = (), **values: Any) -> str:
    """A command as a line that can be pasted anywhere: quoted, with full paths, seed and device.

    Parameters
    ----------
    context : click.Context, optional
        Of the command; by default of the one that is running.
    leave_out : collection of str
        Names of parameters that do not belong to it, such as ``resume``.
    **values
        Of parameters that were decided later, such as the precision that ``auto`` became.

    Returns
    -------
    str
    """
    context = context or click.get_current_context()
    arguments: list[str] = []
    options: list[str] = []
    for parameter in context.command.params:
        name = str(parameter.name)
        if name in (*NOT_RECORDED, *leave_out) or name not in context.params:
            continue
        value = values.get(name, context.params[name])
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if isinstance(parameter, click.Argument):
            arguments.extend(_word(parameter, one) for one in (value if parameter.nargs == -1 else [value]))
        elif isinstance(parameter, click.Option) and value is not None and (given or name in (*RECORDED, *values)):
            if parameter.is_flag:
                options.extend(parameter.opts[:1] if value else [])
            else:
                for one in value if parameter.multiple else [value]:
                    options.extend([max(parameter.opts, key=len), _word(parameter, one)])
    # What starts with a dash would read as an option, were it not for two dashes.
    dashed = any(word.startswith("-") for word in arguments)
    words = [*options, "--", *arguments] if dashed else [*arguments, *options]
    # Files that are UTF-8 quote it: a name that is not becomes visible, and cannot be pasted then.
    return as_text(shlex.join(["dcgan-viz", str(context.command.name), *words]))


def _word(parameter: click.Parameter, value: Any) -> str:
    """A value as it is typed; what lies on disk by its full path."""
    if isinstance(value, Path):
        return str(value.absolute())
    takes = parameter.metavar or ""
    path = Path(str(value))
    is_file = "FILE" in takes and path.is_file()
    # A folder with a bundled model's name is taken for a model only if it is one.
    is_model = "FOLDER" in takes and any((path / place / "card.json").is_file() for place in (".", "model"))
    return str(path.absolute()) if is_file or is_model else str(value)
