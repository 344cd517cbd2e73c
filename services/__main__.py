"""The command line: `integration-service`.

argparse and not something prettier: importing a command-line framework would take a fifth of the
time that the service has to become ready.
"""

import argparse
import gc
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from services.settings import InvalidSettings, Settings, load

VERSION = "0.1.0"
PARTS = ("registry", "credentials", "transformer", "executor", "gateway")
WITH_HTTP = frozenset({"executor", "gateway"})
EPILOG = """\
Everything can also be set by INTEGRATION_* variables or in a TOML file (--config);
`integration-service settings` shows what is in force.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; answers the exit code.

    0: well done; 1: something an operator has to put right first, such as a missing master key;
    2: unusable arguments or settings.
    """
    arguments = _parser().parse_args(argv)
    try:
        run: Callable[[argparse.Namespace, Settings], int] = arguments.run
        return run(arguments, load(_flags(arguments), getattr(arguments, "config", None)))
    except InvalidSettings as error:
        for problem in error.problems:
            sys.stderr.write(f"integration-service: {problem}\n")
        return 2


def serve(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the named parts until a signal comes."""
    gc.disable()  # until all is there: what a start makes, stays
    parts = arguments.parts or PARTS
    if not WITH_HTTP.isdisjoint(parts):
        # Its import reads the certificates of all authorities; other imports can go on meanwhile.
        threading.Thread(target=import_module, args=["aiohttp"]).start()
    from services.process import run  # noqa: PLC0415 - the other commands start without the servers

    return run(settings, parts)


def show_settings(_: argparse.Namespace, settings: Settings) -> int:
    """Print the effective settings, secrets masked."""
    for name, value in settings.shown().items():
        sys.stdout.write(f"{name} = {value}\n")
    return 0


def make_keys(_: argparse.Namespace, settings: Settings) -> int:
    """Make the data directory and the keys that it lacks, for processes that will share them."""
    from services.keys import load_keys, make_data_dir  # noqa: PLC0415 - as above

    make_data_dir(settings)
    load_keys(settings)
    sys.stdout.write(f"The keys are in {settings.data_dir}.\n")
    return 0


def rotate_keys(arguments: argparse.Namespace, settings: Settings) -> int:
    """Give the credential store a new master key and new data keys, while it is in use."""
    from services.wiring.master_keys import rotate_keys as rotate  # noqa: PLC0415 - as above

    return rotate(settings, arguments.new_key_file)


def migrate(_: argparse.Namespace, settings: Settings) -> int:
    """Bring the databases of the registry and of the credentials to this release's schema."""
    from services.process import migrate_databases  # noqa: PLC0415 - as above

    return migrate_databases(settings)


def verify_audit(arguments: argparse.Namespace, settings: Settings) -> int:
    """Check that nobody has changed, cut or reordered the audit log."""
    from services.audit_commands import verify  # noqa: PLC0415 - as above

    directory = arguments.dir or settings.audit_dir or settings.data_dir / "audit"
    return verify(directory, as_json=arguments.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="integration-service",
        description="Calls any third-party API by name: define it, connect to it, execute methods.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"integration-service {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = _command(commands, "serve", serve, "run the service, or parts of it")
    command.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        choices=[*PARTS, []],
        default=[],
        help=", ".join(PARTS),
    )
    command.add_argument("--rest", metavar="HOST:PORT", help="REST, by default 127.0.0.1:8080")
    command.add_argument("--grpc", metavar="HOST:PORT", help="gRPC, by default 127.0.0.1:50051")
    _command(commands, "settings", show_settings, "print the effective settings")
    keys = _command(commands, "keys", make_keys, "make the key files that are missing")
    _add_rotate(keys.add_subparsers(metavar="COMMAND"))
    _command(commands, "migrate", migrate, "bring the databases to this release's schema")
    _add_audit(commands)
    return parser


def _add_rotate(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    text = "seal all credentials anew, with new keys, while the service runs"
    command = _command(commands, "rotate", rotate_keys, text)
    command.add_argument(
        "--new-key-file",
        type=Path,
        metavar="FILE",
        default=None,
        help="only make a new master key in FILE and say how to bring it in, for keys that come "
        "from a setting or a command",
    )


def _add_audit(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    text = "look after the audit log"
    audit = commands.add_parser("audit", help=text, description=f"{text.capitalize()}.")
    text = "check that the audit log is as it was written"
    command = _command(
        audit.add_subparsers(required=True, metavar="COMMAND"), "verify", verify_audit, text
    )
    command.add_argument(
        "--dir",
        type=Path,
        metavar="PATH",
        default=None,
        help="where it is, if not where the settings say",
    )
    command.add_argument(
        "--json", action="store_true", default=False, help="answer in JSON, for machines"
    )


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace, Settings], int],
    text: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        argument_default=argparse.SUPPRESS,  # what stands before a command of a command counts too
    )
    command.add_argument("--config", type=Path, metavar="FILE", help="TOML file with settings")
    command.add_argument("--data-dir", metavar="DIR", help="keys and databases, by default ./data")
    command.set_defaults(run=run)
    return command


def _flags(arguments: argparse.Namespace) -> dict[str, object]:
    names = ("data_dir", "rest", "grpc")
    given = {name: getattr(arguments, name, None) for name in names}
    return {name: value for name, value in given.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())
