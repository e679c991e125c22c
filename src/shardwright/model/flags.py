"""Command-line flags inside a tuple of texts: found, set and dropped in either spelling.

Used by `substitute`, which alters a few flags of an engine and must leave all else as it is. A flag
may be written `--name value` or `--name=value`, with hyphens or underscores.
"""

from __future__ import annotations

from shardwright.model.text import Text, text


def _name(word: Text) -> str | None:
    first = word[0] if word else ""
    if not isinstance(first, str) or not first.startswith("-"):
        return None
    return first.split("=", 1)[0].replace("_", "-")


def flag_value(argv: tuple[Text, ...], flags: tuple[str, ...]) -> str | None:
    """Value of the last of some equivalent flags, the one that counts; None if there is none.

    >>> flag_value((text("--dtype=half"), text("--dtype"), text("auto")), ("--dtype",))
    'auto'
    """
    found = None
    for i, word in enumerate(argv):
        if _name(word) in flags:
            joined = _plain(word)
            following = _plain(argv[i + 1]) if i + 1 < len(argv) else ""
            found = joined.split("=", 1)[1] if "=" in joined else following
    return found


def set_flag(argv: tuple[Text, ...], flags: tuple[str, ...], value: str) -> tuple[Text, ...]:
    """Give a flag another value wherever it stands, in the spelling it has; append it if absent.

    >>> set_flag((text("-tp"), text("8"), text("--x")), ("--tensor-parallel-size", "-tp"), "2")
    (('-tp',), ('2',), ('--x',))
    """
    out: list[Text] = []
    waiting = is_there = False
    for word in argv:
        if waiting:
            out.append(text(value))
            waiting = False
        elif _name(word) in flags:
            is_there = True
            spelled = _plain(word)
            waiting = "=" not in spelled
            out.append(word if waiting else text(f"{spelled.split('=', 1)[0]}={value}"))
        else:
            out.append(word)
    return tuple(out) if is_there else (*out, text(flags[0]), text(value))


def drop_flag(argv: tuple[Text, ...], flags: tuple[str, ...]) -> tuple[Text, ...]:
    """Remove a flag that takes a value, with its value.

    >>> drop_flag((text("serve"), text("--quantization"), text("fp8")), ("--quantization",))
    (('serve',),)
    """
    out: list[Text] = []
    skip = False
    for word in argv:
        if skip:
            skip = False
        elif _name(word) in flags:
            skip = "=" not in _plain(word)
        else:
            out.append(word)
    return tuple(out)


def _plain(word: Text) -> str:
    return "".join(part if isinstance(part, str) else f"<{type(part).__name__}>" for part in word)
