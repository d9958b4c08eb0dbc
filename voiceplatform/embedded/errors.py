"""Problems the person at the keyboard can mend: each message says what, where and how."""


class EmbeddedError(Exception):
    exit_code = 1


class HomeInUseError(EmbeddedError):
    """Another supervisor holds this VP_HOME."""

    exit_code = 3


class StartError(EmbeddedError):
    """A service ended or stayed silent before it was ready; the message carries the end of its log."""
