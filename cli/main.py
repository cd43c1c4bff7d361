"""The `etsim` command: finds a verb's file when it is called, and turns errors into one line."""

import importlib
import sys
from pathlib import Path

import click

from ..models.errors import EtsimError

# verb -> what it is for; the verb's own file is imported only when the verb is used.
VERBS: dict[str, str] = {
    "inspect": "Tell what files are, what they hold and what can be done with them.",
    "capture": "Record a script's execution trace and profile in one run.",
    "convert": "Join an execution trace and a profile into a Chakra .et file.",
    "predict": "Replay a run on other hardware: how long there, and why.",
    "whatif": "Stack changes on a run and see what each brings.",
    "sweep": "Span hardware, transforms and ranks; find the best.",
    "breakdown": "Split the time into computing, communication, copies and idle.",
    "explain": "Show the critical path and what would help.",
    "compare": "Compare two timelines by category, operator and module.",
    "timeline": "Write a timeline for Perfetto.",
    "merge": "Merge the traces of many ranks into one.",
    "visualize": "Draw the dependency graph to PDF, SVG, DOT or GraphML.",
    "report": "Write a page one can mail.",
    "phases": "Find prefill and decode steps in a serving engine's trace.",
    "serve": "Simulate a serving cluster request by request.",
    "plan": "Say how many of which device a serving load needs.",
    "hw": "List, show and check hardware specs.",
    "calibrate": "Fit a hardware spec to measurements.",
    "validate": "Compare predictions with measurements.",
}


class _LazyGroup(click.Group):
    """A group whose commands live in files that are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        here = Path(__file__).parent
        return [verb for verb in VERBS if (here / f"{verb}.py").exists()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{__package__}.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb, VERBS[verb]) for verb in self.list_commands(ctx)])


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 the analysis failed, 2 usage, 3 bad input, 4 a tool is missing.",
)
@click.version_option(package_name="etsim", prog_name="etsim")
def _etsim() -> None:
    """Replay recorded PyTorch runs on hardware you do not have."""


def _show_usage(error: click.ClickException) -> None:
    """One line, as for our own errors; a group called without a verb shows its help instead."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None and error.message == context.get_help():
        error.show()
        return
    told = " ".join(error.format_message().split())
    remedy = f" (see {context.command_path} --help)" if context is not None else ""
    click.echo(f"error: {told}{remedy}", err=True)


def main() -> None:
    """Run the command line; every EtsimError becomes one line on stderr and its exit code."""
    try:
        _etsim.main(standalone_mode=False, prog_name="etsim")
    except EtsimError as error:
        click.echo(f"error: {error.line()}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _show_usage(error)
        sys.exit(2)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("error: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output went away: nothing is left to say
        sys.stderr.close()
        sys.exit(0)
