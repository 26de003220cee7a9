"""What is meant for users: the one exception, and the one warning."""


class UserError(ValueError):
    """A request that cannot be carried out, said in one sentence with a way out.

    The command line prints the message and exits with status 2; library callers catch it as a
    `ValueError`.
    """

    def __str__(self) -> str:
        """The sentence; what it quotes of a file may hold halves of surrogate pairs, which no terminal takes."""
        return super().__str__().encode("utf-8", "backslashreplace").decode("utf-8")


class Notice(UserWarning):
    """Something that was done otherwise than one might think, such as files that were left out.

    The command line prints it as a line on standard error; library callers filter it like any warning.
    """
