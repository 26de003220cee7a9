"""What every command shares: ``--debug``, and errors that are one sentence."""

from __future__ import annotations

from typing import Any

import click

from dcgan_viz.errors import UserError


class Failure(click.ClickException):
    """A request that could not be carried out: one sentence, exit status 2."""

    exit_code = 2


class Command(click.Command):
    """A command that takes ``--debug`` and turns errors into sentences."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(["--debug"], is_flag=True, expose_value=False, callback=_remember, help="Show tracebacks.")
        )

    def invoke(self, context: click.Context) -> Any:
        """Run the command; errors keep their traceback only under ``--debug``."""
        try:
            return super().invoke(context)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if context.meta["dcgan_viz.debug"]:
                raise
            if isinstance(error, UserError | OSError | MemoryError):
                raise Failure(str(error) or "not enough memory") from error
            raise Failure(
                f"unexpected {type(error).__name__}: {error}; please report it with what --debug shows"
            ) from error


def _remember(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.meta["dcgan_viz.debug"] = value
