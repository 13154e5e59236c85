"""What can go wrong, for users of the library to raise or to catch."""

from __future__ import annotations


class SourceError(Exception):
    """A request that is refused for good; raise it from your function.

    The customer reads ``message`` beside the source that failed, its first 1,024 bytes. It must hold nothing
    that is not for them.
    """

    # Of a subclass that does not call this class's constructor.
    code: int = 500
    message: str = "the application could not produce the data"

    def __init__(self, code: int, message: str) -> None:
        """Refuse with a ``code``, any number but 0 (by custom an HTTP status), and a ``message``."""
        if code == 0 or not message:
            raise ValueError("an error needs a code other than 0 and a message")
        # The platform refuses other reports, and the customer would wait until the deadline.
        if not isinstance(code, int) or abs(code) >= 2**31 or not isinstance(message, str):
            raise TypeError("an error needs a whole number of at most 31 bits and a text")
        super().__init__(message)
        self.code = code
        self.message = message


class InvalidEventError(Exception):
    """A record that is not a request event; the text says why, without quoting it."""


class ConfigurationError(Exception):
    """Settings that cannot be worked with; the text names them, never their values."""


class StoppedError(Exception):
    """The application was told to stop and the time for answers under way is over."""
