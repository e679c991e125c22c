"""Edits by position: only what is safe, and not one byte more than the repair needs.

Each function returns None where the text is not written in a way it can extend (flow style, an
alias, an object that was never text).
"""

from __future__ import annotations

from shardwright.lint.bundle import Member
from shardwright.lint.command.invocation import Site
from shardwright.lint.documents import Spot
from shardwright.lint.finding import Edit, Fix
from shardwright.lint.objects import KubeObject, Path
from shardwright.lint.reading import dig
from shardwright.model.units import format_quantity


def add_shared_memory(member: Member, size_bytes: int) -> Fix | None:
    """Give a container a memory volume at /dev/shm."""
    obj, pod = member.object, member.pod
    if "dshm" in pod.volumes:
        return None
    size = format_quantity(size_bytes)
    mount = append_item(
        obj, member.container.path, "volumeMounts", ["name: dshm", "mountPath: /dev/shm"]
    )
    volume = append_item(
        obj,
        pod.path,
        "volumes",
        ["name: dshm", "emptyDir:", "  medium: Memory", f"  sizeLimit: {size}"],
    )
    if mount is None or volume is None:
        return None
    return Fix(summary=f"mount a {size} memory volume at /dev/shm", edits=(mount, volume))


def append_item(obj: KubeObject, parent: Path, key: str, lines: list[str]) -> Edit | None:
    """Append a mapping to a block list of a block mapping; the list is made if it is absent."""
    spot = obj.spot_at(parent)
    if spot is None or spot.keys is None or spot.is_flow or not spot.keys:
        return None
    entry = spot.keys.get(key)
    if entry is None:
        column = min(mark.column for mark, _ in spot.keys.values())
        text = [f"{' ' * column}{key}:", *_item(lines, column)]
        return _insert_after(_last_line(spot), text)
    items = entry[1]
    if items.is_flow or not items.items:
        return None
    dash = items.start.column
    return _insert_after(_last_line(items), _item(lines, dash))


def add_key(obj: KubeObject, parent: Path, key: str, value: str) -> Edit | None:
    """Add `key: value` at the end of a block mapping that lacks it."""
    spot = obj.spot_at(parent)
    if spot is None or spot.keys is None or spot.is_flow or not spot.keys or key in spot.keys:
        return None
    column = min(mark.column for mark, _ in spot.keys.values())
    first = min(mark.line for mark, _ in spot.keys.values())
    at = first + 0
    return Edit(
        line=at,
        column=column,
        end_line=at,
        end_column=column,
        text=f"{key}: {value}\n{' ' * column}",
    )


def set_key(obj: KubeObject, parent: Path, key: str, value: str) -> Fix | None:
    """Write a scalar of a block mapping, whether it is there or not."""
    edit = replace_scalar(obj, (*parent, key), value) or add_key(obj, parent, key, value)
    return Fix(summary=f"set {key}: {value}", edits=(edit,)) if edit else None


def replace_scalar(obj: KubeObject, path: Path, text: str) -> Edit | None:
    """Replace one scalar where it stands, quotes included."""
    spot = obj.spot_at(path)
    if spot is None or spot.keys is not None or spot.items is not None:
        return None
    return Edit(
        line=spot.start.line,
        column=spot.start.column,
        end_line=spot.end.line,
        end_column=spot.end.column,
        text=text,
    )


def _item(lines: list[str], column: int) -> list[str]:
    pad = " " * column
    return [f"{pad}- {lines[0]}", *(f"{pad}  {line}" for line in lines[1:])]


def _insert_after(line: int, rows: list[str]) -> Edit:
    text = "".join(f"{row}\n" for row in rows)
    return Edit(line=line + 1, column=0, end_line=line + 1, end_column=0, text=text)


def _last_line(spot: Spot) -> int:
    """The last line a value covers: collections end where the next token starts."""
    last = spot
    while True:
        inner = list(last.items or ()) or [child for _, child in (last.keys or {}).values()]
        if not inner:
            break
        last = max(inner, key=lambda child: (child.start.line, child.start.column))
        if last.style == "flow":
            break
    is_block = last.style in {"|", ">"}
    ends_before = is_block or (last.end.column == 0 and last.end.line > last.start.line)
    return last.end.line - 1 if ends_before else last.end.line


def rename_flag(site: Site, typed: str, instead: str) -> Fix | None:
    """Rename a flag that is a whole word of a list; inside scripts the text is not touched."""
    spot = site.object.spot_at(site.path)
    for index, item in enumerate(spot.items or ()) if spot else ():
        edit = _rename_in(site, (*site.path, index), item, typed, instead)
        if edit is not None:
            return Fix(summary=f"rename {typed} to {instead}", edits=(edit,))
    return None


def _rename_in(site: Site, path: Path, item: Spot, typed: str, instead: str) -> Edit | None:
    written = dig(site.object.data, *path)
    if not isinstance(written, str) or item.style not in {"", "'", '"'}:
        return None
    if written != typed and not written.startswith(f"{typed}="):
        return None
    start = item.start.column + (1 if item.style else 0)
    line = item.start.line
    return Edit(line=line, column=start, end_line=line, end_column=start + len(typed), text=instead)
