"""How the values of settings are written as text, and what each text means."""

import ipaddress
import shlex
from collections.abc import Callable
from pathlib import Path

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def _path(value: object) -> Path:
    return Path(str(value)).expanduser()


def _whole(value: object) -> int:
    try:
        number = int(str(value))
    except ValueError:
        raise ValueError(f"must be a whole number, not {value!r}") from None
    if number <= 0:
        raise ValueError(f"must be above 0, not {number}")
    return number


def _seconds(value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        raise ValueError(f"must be a number of seconds, not {value!r}") from None
    if not 0 <= number < float("inf"):
        raise ValueError(f"must be 0 or more, not {number}")
    return number


def _flag(value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    word = str(value).lower()
    if word not in words:
        raise ValueError(f"must be true or false, not {value!r}")
    return words[word]


def _words(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else tuple(shlex.split(str(value)))


def _networks(value: object) -> tuple[IpNetwork, ...]:
    parts = value if isinstance(value, list) else str(value).split(",")
    return tuple(ipaddress.ip_network(str(part).strip()) for part in parts if str(part).strip())


CONVERTERS: dict[object, Callable[[object], object]] = {
    str: str,
    int: _whole,
    float: _seconds,
    bool: _flag,
    Path: _path,
    Path | None: _path,
    tuple[IpNetwork, ...]: _networks,
    tuple[str, ...]: _words,
}
