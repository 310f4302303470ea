"""The command completion: what a shell needs to complete commands, options and their values."""

import click
from click.shell_completion import get_completion_class

from mlpromote.commands import command
from mlpromote.exit_codes import ExitCode

#: Click's protocol: the shell's function sets it and calls `mlpromote`.
VARIABLE = "_MLPROMOTE_COMPLETE"

#: How each shell takes the script at every start.
SHELLS = {
    "bash": 'eval "$(mlpromote completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(mlpromote completion zsh)"  # in ~/.zshrc',
    "fish": "mlpromote completion fish | source  # in ~/.config/fish/config.fish",
    "powershell": "mlpromote completion powershell | Out-String | Invoke-Expression  # in $PROFILE",
}


@command("completion", "print the completion for a shell", more=f"For bash: {SHELLS['bash'].partition('  #')[0]}")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> ExitCode:
    """Print the script."""
    kind = get_completion_class(shell)
    if kind is None:  # every one of SHELLS has one
        raise AssertionError(shell)
    made = kind(context.find_root().command, {}, "mlpromote", VARIABLE)
    # Not `source()`: for bash it starts one, to see if it is new enough, and there is none on Windows.
    click.echo(f"# To have it in every session: {SHELLS[shell]}")
    click.echo(made.source_template % made.source_vars())
    return ExitCode.DONE


COMMANDS = (completion,)
