"""Errors a user can act on: their text is the whole message, no traceback is needed."""


class IdpipeError(Exception):
    """Base of every error whose message names what is wrong and what is allowed."""


class ConfigError(IdpipeError):
    """The configuration was refused; one line per problem.

    Attributes:
        problems: the messages, each `key.path = value: what is allowed`.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class DataError(IdpipeError):
    """Images are missing, truncated, corrupt, or fewer than the configuration asks for."""


class StoreError(IdpipeError):
    """A stored result is missing, damaged, or belongs to another cell or engine version."""


class ShortageError(IdpipeError):
    """The device has less memory than a cell asks for."""


class FigureError(IdpipeError):
    """A figure cannot show what a run holds or asks for; the message says what is missing.

    Attributes:
        cells: ids of cells the figure has one place for, where that is the reason.
    """

    def __init__(self, message: str, cells: tuple[str, ...] = ()) -> None:
        self.cells = cells
        super().__init__(message)
