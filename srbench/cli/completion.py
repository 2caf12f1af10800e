"""What click's completion lacks in two shells: names with a comma in fish, and names with an `@` in bash."""

from __future__ import annotations

from typing import Any

from click.shell_completion import BashComplete, CompletionItem, FishComplete, add_completion_class


def mend() -> None:
    """Take the place of click's own classes; fish parts a value at each comma there, and `bicubic,lanczos` has one."""
    told = FishComplete.source_template
    FishComplete.source_template = told.replace('split "," $completion', 'split --max 1 "," $completion')
    add_completion_class(Bash)


class Bash(BashComplete):
    """Bash takes `psnr_y@ba` apart at the `@`, and puts what it is given in the place of `@ba`."""

    apart = False

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        *before, at = [*args, incomplete] if incomplete == "@" else args or [""]
        if at != "@" or not before:
            return args, incomplete
        self.apart = True
        return before[:-1], f"{before[-1]}@{incomplete.removeprefix('@')}"

    def format_completion(self, item: CompletionItem[Any]) -> str:
        _, at, name = item.value.rpartition("@")
        return f"{item.type},{at + name}" if self.apart else super().format_completion(item)
