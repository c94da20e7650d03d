"""The one exception that a user's mistake raises."""


class InputError(ValueError):
    """Something the user gave is wrong; the message names the place, what is wrong, and the remedy, on one line."""

    def __init__(self, where: str, problem: str, remedy: str) -> None:
        super().__init__(f"{where}: {problem}. {remedy}")
